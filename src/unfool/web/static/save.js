// Files of what is shown.

export function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export const fileName = (text) => text.replace(/[^\w.-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60) || "studio";

// Screens side by side with their captions, large enough to be printed.
export async function savePng(name, shown) {
  const side = 480, gap = 20, foot = 66;
  const canvas = document.createElement("canvas");
  const tall = Math.max(...shown.map(([screen]) => (side * screen.canvas.height) / screen.canvas.width));
  canvas.width = gap + shown.length * (side + gap);
  canvas.height = gap + tall + foot;
  const c = canvas.getContext("2d");
  c.fillStyle = "#fff";
  c.fillRect(0, 0, canvas.width, canvas.height);
  for (const [k, [screen, caption]] of shown.entries()) {
    const left = gap + k * (side + gap), high = (side * screen.canvas.height) / screen.canvas.width;
    c.imageSmoothingEnabled = screen.canvas.width > 160;
    c.drawImage(screen.canvas, left, gap, side, high);
    if (screen.marks.childNodes.length) c.drawImage(await picture(screen.svg, side, high), left, gap, side, high);
    c.fillStyle = "#222";
    c.font = "15px system-ui, sans-serif";
    wrap(c, caption, side).slice(0, 3).forEach((line, i) => c.fillText(line, left, gap + tall + 20 + 19 * i));
  }
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  download(`${fileName(name)}.png`, blob);
}

export function wrap(c, text, width) {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (c.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

export async function picture(svg, width, height) {
  const copy = styled(svg);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}

// A copy that looks the same elsewhere: what the page's style says is written into it.
export function styled(svg) {
  const copy = svg.cloneNode(true), own = copy.querySelectorAll("*");
  [...svg.querySelectorAll("*")].forEach((from, i) => {
    const style = getComputedStyle(from);
    for (const key of ["fill", "stroke", "stroke-width", "font"]) if (style[key]) own[i].style[key] = style[key];
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return copy;
}

// A chart as a file of its own.
export function saveSvg(name, svg) {
  const copy = styled(svg), [, , width, height] = svg.getAttribute("viewBox").split(" ");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  download(`${fileName(name)}.svg`, new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
}

// The pictures of a box with what stands under each.
export function pictured(box) {
  return [...box.querySelectorAll("canvas")].map((canvas) => {
    const about = canvas.closest("button")?.getAttribute("aria-label"), under = canvas.closest("figure")?.textContent ?? "";
    return [canvas, about ? `${about}${under && !about.includes(under) ? ` (${under.trim()})` : ""}` : canvas.getAttribute("aria-label") ?? under];
  });
}
