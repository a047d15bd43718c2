// The studio inside a notebook: the same page in a frame, its files handed to it, the kernel in place of the server.

const FILES = {}; // filled in by unfool.notebook: address -> text

// What the page takes for its WebSocket.
function line(model, view) {
  const socket = {
    readyState: 1,
    send(bytes) { model.send({ view }, undefined, [bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)]); },
  };
  model.on("msg:custom", (told, [frame]) => {
    if (told.view !== view) return;
    const bytes = frame.buffer ?? frame, from = frame.byteOffset ?? 0;
    socket.onmessage?.({ data: bytes.slice(from, from + frame.byteLength) });
  });
  setTimeout(() => socket.onopen?.());
  return socket;
}

// Modules have no addresses here: each becomes a blob, after those that it imports.
function blobs(win) {
  const made = {};
  const make = (name) => {
    made[name] ??= (() => {
      const text = FILES[name].replace(/from "\.\/([\w.]+)"/g, (_, other) => `from "${make(other)}"`);
      return win.URL.createObjectURL(new win.Blob([text], { type: "text/javascript" }));
    })();
    return made[name];
  };
  return make;
}

function page() {
  const mark = `data:image/svg+xml,${encodeURIComponent(FILES["mark.svg"])}`;
  return FILES["index.html"]
    .replace(/<script.*<\/script>/, "")
    .replace(/<link rel="stylesheet".*>/, () => `<style>${FILES["style.css"]}</style>`)
    .replaceAll('"mark.svg"', () => `"${mark}"`);
}

export default {
  render({ model, el }) {
    const frame = document.createElement("iframe"), view = crypto.randomUUID();
    frame.title = "unfool studio";
    frame.style = `width: 100%; height: ${model.get("height")}px; border: 1px solid #8884; border-radius: 6px`;
    frame.addEventListener("load", () => {
      const win = frame.contentWindow, script = win.document.createElement("script");
      win.unfoolSocket = () => line(model, view);
      script.type = "module";
      script.src = blobs(win)("main.js");
      win.document.body.append(script);
    }, { once: true });
    frame.srcdoc = page();
    el.append(frame);
    return () => model.send({ view, ended: true });
  },
};
