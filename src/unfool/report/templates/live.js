// The maps of a report: how they are drawn is chosen in the page. Without scripts, and on paper, the pictures stay.

async function levels(uri, width, height) {
  const picture = new Image();
  picture.src = uri;
  await picture.decode();
  const canvas = h("canvas", { width: width ?? picture.naturalWidth, height: height ?? picture.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const found = new Float32Array(canvas.width * canvas.height);
  for (let i = 0; i < found.length; i++) found[i] = (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3;
  return { data: found, shape: [canvas.height, canvas.width] };
}

async function drawn(picture) {
  const { heat, most, top, signed, base } = picture.dataset;
  const map = await levels(heat), [height, width] = map.shape;
  const under = await levels(document.getElementById(base).src, width, height);
  for (let i = 0; i < map.data.length; i++) map.data[i] = ((map.data[i] - 128) / 127) * Number(most);
  if (signed) map.signed = true;
  const grey = { data: under.data.map((v) => v / 255), shape: [1, height, width] };
  const name = picture.alt, screen = new Screen(name, { read: (x, y) => number(map.data[y * width + x]) });
  const said = h("output", { class: "soft" });
  screen.told = (text) => { said.textContent = text; };
  const draw = () => { drawHeat(screen.canvas, grey, map, Number(top)); screen.drawn(); };
  picture.replaceWith(screen.box);
  screen.box.after(said);
  picture.classList.add("paper");
  screen.box.after(picture);
  on("looks", draw);
  draw();
}

function tools(place) {
  const share = (name, key, value) => slider(name, { value: 100 * value, show: (v) => `${v} %`, oninput: (v) => look({ [key]: v / 100 }) }).box;
  const signs = [["both", "both"], ["for", "for"], ["against", "against"]];
  place.append(
    share("Opacity", "opacity", looks.opacity), share("Leave out below", "least", looks.least),
    labelled("Sign", pick(signs, looks.sign, (v) => look({ sign: v }))),
    labelled("Colours", pick(COLOURS, looks.colours, (v) => look({ colours: v }))),
  );
  place.hidden = false;
}

const maps = [...document.querySelectorAll("img[data-heat]")];
if (maps.length) { tools(document.getElementById("drawing")); Promise.all(maps.map(drawn)).then(() => { document.body.dataset.drawn = maps.length; }); }
