// The socket: requests by slot, of which only the latest is ever answered.

const KINDS = { u1: Uint8Array, i4: Int32Array, f4: Float32Array };

export class Failure extends Error {
  constructor(message, hint = "") { super(message); this.hint = hint; }
}

export function pack(header, arrays = {}) {
  const names = Object.keys(arrays);
  const table = names.map((n) => [n, kindOf(arrays[n].data), arrays[n].shape]);
  let text = new TextEncoder().encode(JSON.stringify({ ...header, arrays: table }));
  const head = text.length + ((8 - ((4 + text.length) % 8)) % 8);
  const sizes = names.map((n) => arrays[n].data.byteLength);
  const whole = new Uint8Array(4 + head + sizes.reduce((a, b) => a + b + ((8 - (b % 8)) % 8), 0));
  new DataView(whole.buffer).setUint32(0, head, true);
  whole.fill(32, 4, 4 + head);
  whole.set(text, 4);
  let at = 4 + head;
  names.forEach((n, i) => {
    const d = arrays[n].data;
    whole.set(new Uint8Array(d.buffer, d.byteOffset, d.byteLength), at);
    at += sizes[i] + ((8 - (sizes[i] % 8)) % 8);
  });
  return whole;
}
const kindOf = (data) => Object.keys(KINDS).find((k) => data instanceof KINDS[k]);

export function unpack(buffer) {
  const head = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, head)));
  const arrays = {};
  let at = 4 + head;
  for (const [name, kind, shape] of header.arrays ?? []) {
    const n = shape.reduce((a, b) => a * b, 1);
    arrays[name] = { shape, data: new KINDS[kind](buffer, at, n) };
    const size = arrays[name].data.byteLength;
    at += size + ((8 - (size % 8)) % 8);
  }
  return { header, arrays };
}

export class Wire {
  constructor(token, told) {
    this.token = token;
    this.told = told; // told(state): "open", "lost", "refused"
    this.count = 0;
    this.sent = 0; // how many requests went out: tests look at it
    this.slots = new Map(); // slot -> {id, resolve, reject, passes, held}
    this.wait = 250;
    this.connect();
  }

  connect() {
    this.socket = window.unfoolSocket ? window.unfoolSocket() : this.dial(); // in a notebook its kernel answers
    this.socket.binaryType = "arraybuffer";
    let opened = false;
    this.socket.onopen = () => { opened = true; this.wait = 250; this.told("open"); };
    this.socket.onmessage = (message) => this.take(unpack(message.data));
    this.socket.onclose = (event) => {
      this.slots.clear();
      this.told(opened ? "lost" : "refused", event.reason);
      setTimeout(() => this.connect(), (this.wait = Math.min(5000, this.wait * 2)));
    };
  }

  dial() {
    const place = new URL("socket", location.href);
    place.protocol = "ws:";
    place.hash = "";
    return new WebSocket(place, ["unfool", this.token]);
  }

  // Ask for something; the promise of an older request for the same slot never settles. With `hold` a request
  // waits for the answer to the one before it, and only the latest waits: so that a drag shows what it passes.
  ask(slot, act, words = {}, { arrays, idle = false, hold = false, passes } = {}) {
    return new Promise((resolve, reject) => {
      const call = { act, words, arrays, idle, passes, resolve, reject };
      const open = this.slots.get(slot);
      if (hold && open && !open.over) { open.held = call; return; }
      this.send(slot, call);
    });
  }

  send(slot, call) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    const id = ++this.count;
    this.slots.set(slot, { ...call, id, over: false });
    this.sent += 1;
    this.socket.send(pack({ id, slot, do: call.act, with: call.words, idle: call.idle }, call.arrays));
    this.busy();
  }

  drop(slot) {
    const open = this.slots.get(slot);
    if (!open || open.over) return;
    this.slots.delete(slot);
    this.socket.send(pack({ id: ++this.count, slot, do: "drop" }));
    this.busy();
  }

  take({ header, arrays }) {
    const open = this.slots.get(header.slot);
    if (!open || open.id !== header.id) return; // a stale answer is never shown
    if ("passes" in header) { open.passes?.(header.passes, header.doing); return; }
    open.over = true;
    const held = open.held;
    if (held) this.send(header.slot, held);
    if (header.ok) open.resolve({ value: header.value, arrays });
    else open.reject(new Failure(header.error, header.hint));
    this.busy();
  }

  busy() {
    const n = [...this.slots.values()].filter((one) => !one.over && !one.idle).length;
    if (n !== this.waiting) { this.waiting = n; this.told("busy", n); }
  }
}
