// corewire.js: rooms over a WebSocket, from a browser or from node. One file, no dependencies; types in corewire.d.ts.
//
//   import { Corewire } from "./corewire.js";
//   const client = new Corewire("ws://localhost:8080/ws", { name: "ann" });
//   client.on("message", ({ room, from, data }) => console.log(room, from, data));
//   await client.join("lobby", { history: 50 });
//   await client.publish("lobby", "hello"); // resolves when it came back, with its number
//
// It connects again by itself, with back-off and jitter, joins its rooms again and asks for what it missed. What comes
// twice is dropped, what is missing is told as a "gap". What was sent and not seen again is never sent a second time by
// itself: whether it arrived is not known, and its promise says so (code "unknown").

/** Why something was not done. `code` is the server's, or one of: timeout, unknown, closed, full, not_joined. */
export class CorewireError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = "CorewireError";
    this.code = code;
    Object.assign(this, details);
  }
}

const DEFAULTS = {
  WebSocket: globalThis.WebSocket,
  protocols: undefined,
  name: undefined,
  backoffMin: 300, // ms until the second attempt, doubled with each
  backoffMax: 15_000,
  connectTimeout: 10_000,
  timeout: 10_000, // for an answer
  pingEvery: 25_000, // ms of silence after which the server is asked whether it is there; 0: never
  pendingMax: 1000, // requests that wait for theirs
  steadyAfter: 5000, // ms after which a connection counts as one, and back-off begins anew
  random: Math.random,
  // Who is told this should not come back by itself: a policy (1008), or an application that says go away.
  staysAway: (code) => code === 1008 || (code >= 4000 && code < 4500),
};

export class Corewire {
  #url;
  #options;
  #handlers = new Map(); // event -> Set of functions
  #socket = null;
  #opened = false;
  #attempt = 0;
  #timer = null; // to the next attempt, or to the end of this one
  #beat = null; // to the next look whether anything was heard
  #heard = 0; // frames on this connection
  #since = 0; // when it opened
  #rooms = new Map(); // name -> what we know of it
  #pending = new Map(); // id -> a request that waits for its answer
  #next = 1;
  #prefix;
  #name;
  #ended = null; // resolves what close() promised
  #onLine = () => this.retry();
  #state = "connecting";

  constructor(url, options = {}) {
    this.#url = url;
    this.#options = { ...DEFAULTS, ...options };
    if (!this.#options.WebSocket) throw new TypeError("there is no WebSocket here: give one by the option WebSocket");
    this.#name = this.#options.name;
    this.#prefix = Math.floor(this.#options.random() * 2 ** 40).toString(36);
    globalThis.addEventListener?.("online", this.#onLine);
    this.#connect();
  }

  /** connecting, open, waiting (to connect again) or closed. */
  get state() {
    return this.#state;
  }

  /** What this client is called. */
  get name() {
    return this.#name;
  }

  /** The rooms that it is in or wants to be in: name -> { name, joined, members, epoch, seq }. */
  get rooms() {
    const shown = ({ name, joined, members, epoch, seq }) => [name, { name, joined, members, epoch, seq }];
    return new Map([...this.#rooms.values()].map(shown));
  }

  /** Calls `handler` with the data of each message of this type, or at this event. Returns what takes it back. */
  on(event, handler) {
    if (!this.#handlers.has(event)) this.#handlers.set(event, new Set());
    this.#handlers.get(event).add(handler);
    return () => this.off(event, handler);
  }

  off(event, handler) {
    this.#handlers.get(event)?.delete(handler);
  }

  /** Sends a typed message, if the connection is open. Whether it was. */
  send(type, data) {
    if (!this.#opened) return false;
    this.#socket.send(JSON.stringify({ type, data }));
    return true;
  }

  /** Sends a typed message with an id, and waits for `answer`: a type, or a function of (type, data). An error rejects. */
  request(type, data, answer = type, options = {}) {
    const isAnswer = typeof answer === "function" ? answer : (type) => type === answer;
    return this.#ask({ type, data, isAnswer, room: null, ...options });
  }

  /**
   * Joins a room, and joins it again after every reconnect. Resolves with { room, epoch, seq, recovered, members }. That
   * it is refused is also an "error", for those who do not wait for it.
   */
  join(room, { history } = {}) {
    let known = this.#rooms.get(room);
    if (known?.joined) return Promise.resolve(known.answer);
    if (!known) {
      known = { name: room, joined: false, members: 0, epoch: null, seq: null, base: 0, told: false, history };
      this.#rooms.set(room, known);
    }
    const isAnswer = (type, data) => type === "joined" && data.room === room;
    const joined = this.#ask({ type: "join", isAnswer, room: null, data: () => this.#joining(known), keeps: true });
    joined.catch((error) => {
      // Without an answer it is tried again with the next connection.
      if (!error.remote || error.code === "already_in") return;
      this.#rooms.delete(room);
      this.#emit("error", { of: "join", room, code: error.code, message: error.message });
    });
    return joined; // who does not look at it need not
  }

  /** Leaves a room. */
  async leave(room) {
    if (!this.#rooms.delete(room) || !this.#opened) return;
    await this.request("leave", { room }, (type, data) => type === "left" && data.room === room);
  }

  /** Who is in a room: { room, members, names }. */
  who(room) {
    return this.request("who", { room }, (type, data) => type === "members" && data.room === room);
  }

  /** Takes another name. */
  async nick(name) {
    const answer = await this.request("nick", { name });
    this.#name = answer?.name ?? name;
    return answer;
  }

  /**
   * Says something in a room. Resolves with the message when it came back, which is when everybody else has it coming.
   * Rejects on an error, or when that takes too long; with the code "unknown" if it was sent and its fate is not known.
   * While there is no connection it waits, and is sent when there is.
   */
  publish(room, data, { timeout, id } = {}) {
    if (!this.#rooms.has(room)) return Promise.reject(new CorewireError("not_joined", `${room} was not joined`));
    id ??= this.#makeId();
    const isAnswer = (type, message) => type === "message" && message.id === id && message.room === room;
    return this.#ask({ type: "publish", isAnswer, room, data: () => ({ room, data }), id, timeout });
  }

  /** Connects now, if it waits to. */
  retry() {
    if (this.#state === "waiting") this.#connect();
  }

  /** Says goodbye, and does not come back. Resolves when the connection has ended. */
  close(code = 1000, reason = "") {
    this.#stop();
    const socket = this.#socket;
    if (!socket || socket.readyState === 3) return Promise.resolve();
    return new Promise((resolve) => {
      this.#ended = resolve;
      setTimeout(resolve, this.#options.timeout).unref?.();
      socket.close(code, reason);
    });
  }

  // ---- the connection ----

  #become(state, details = {}) {
    this.#state = state;
    this.#emit("state", { state, attempt: this.#attempt, ...details });
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#heard = 0;
    this.#become("connecting");
    const { WebSocket, protocols, connectTimeout } = this.#options;
    const socket = new WebSocket(this.#url, protocols);
    this.#socket = socket;
    const mine = (handler) => (event) => this.#socket === socket && handler(event);
    socket.addEventListener("open", mine(() => this.#open()));
    socket.addEventListener("message", mine(({ data }) => this.#receive(data)));
    socket.addEventListener("error", () => {}); // a close follows, and says more
    socket.addEventListener("close", mine(({ code, reason }) => this.#lost(code, String(reason ?? ""))));
    this.#timer = setTimeout(() => this.#drop(1006, "no answer to the handshake"), connectTimeout);
  }

  #open() {
    clearTimeout(this.#timer);
    this.#opened = true;
    this.#since = Date.now();
    this.#become("open");
    if (this.#name !== undefined) this.send("nick", { name: this.#name });
    const asked = new Set();
    for (const request of this.#pending.values()) {
      if (request.type === "join") asked.add(request.data().room);
      if (request.room === null) this.#put(request);
    }
    for (const known of this.#rooms.values()) if (!asked.has(known.name)) this.send("join", this.#joining(known));
    this.#listen();
  }

  /** A connection may be dead without a word. Who hears nothing for a while asks, and who hears nothing then either goes. */
  #listen(asked = false) {
    const { pingEvery, timeout } = this.#options;
    if (!pingEvery) return;
    const heard = this.#heard;
    this.#beat = setTimeout(() => {
      if (this.#heard !== heard) return this.#listen();
      if (asked) return this.#drop(1006, "silence");
      this.send("ping");
      this.#listen(true);
    }, asked ? timeout : pingEvery);
    this.#beat.unref?.(); // a program that has nothing else to do may end
  }

  /** The connection does not do its work: it is left to itself. */
  #drop(code, reason) {
    const socket = this.#socket;
    this.#lost(code, reason);
    socket.close();
  }

  #lost(code, reason) {
    clearTimeout(this.#timer);
    clearTimeout(this.#beat);
    const { backoffMin, backoffMax, random, staysAway, steadyAfter } = this.#options;
    if (this.#opened && Date.now() - this.#since >= steadyAfter) this.#attempt = 0;
    this.#socket = null;
    this.#opened = false;
    for (const known of this.#rooms.values()) known.joined = false;
    for (const request of this.#pending.values()) {
      // A join is asked for again, and what was published may come back with what was missed.
      const isOver = request.sent && !request.keeps && request.room === null;
      if (isOver) this.#fail(request, "unknown", "the connection ended before the answer came");
    }
    this.#ended?.();
    if (this.#state === "closed") return;
    if (staysAway(code)) return this.#stop(code, reason);
    // Half of the delay is chance, so that clients that were cut at once do not come back at once.
    const delay = Math.min(backoffMax, backoffMin * 2 ** this.#attempt) * (0.5 + random() / 2);
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#become("waiting", { code, reason, delay });
  }

  #stop(code, reason) {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    clearTimeout(this.#beat);
    globalThis.removeEventListener?.("online", this.#onLine);
    this.#opened = false;
    this.#become("closed", { code, reason });
    for (const request of this.#pending.values()) {
      const isLost = request.room !== null && request.sent; // said, and nobody will tell whether it was heard
      this.#fail(request, isLost ? "unknown" : "closed", "the client is closed");
    }
  }

  // ---- requests ----

  #makeId() {
    return `${this.#prefix}-${this.#next++}`;
  }

  #joining(known) {
    const { name: room, epoch, seq, base, history } = known;
    known.asked = epoch !== null && !(seq === null && history); // who has heard nothing yet begins anew
    return known.asked ? { room, since: { epoch, seq: seq ?? base } } : { room, history };
  }

  #ask({ type, data, isAnswer, room, id = this.#makeId(), timeout = this.#options.timeout, keeps = false }) {
    if (this.#state === "closed") return Promise.reject(new CorewireError("closed", "the client is closed"));
    if (this.#pending.size >= this.#options.pendingMax)
      return Promise.reject(new CorewireError("full", "too much waits for an answer"));
    return new Promise((resolve, reject) => {
      const late = () => {
        // Nothing at all came since: the connection is dead, though nobody has told us.
        const isDead = request.sent && this.#opened && this.#heard === request.heard;
        this.#fail(request, request.sent ? "unknown" : "timeout", `no answer in ${timeout} ms`);
        if (isDead) this.#drop(1006, "silence");
      };
      const read = typeof data === "function" ? data : () => data;
      const request = { id, type, data: read, isAnswer, room, keeps, resolve, reject, sent: false, heard: 0 };
      request.timer = setTimeout(late, timeout);
      this.#pending.set(id, request);
      this.#put(request);
    });
  }

  /** Sends it, if it can be sent now. */
  #put(request) {
    const isSent = request.sent && !request.keeps; // never twice
    if (isSent || !this.#opened || (request.room !== null && !this.#rooms.get(request.room)?.joined)) return;
    request.sent = true;
    request.heard = this.#heard;
    this.send(request.type, { ...request.data(), id: request.id });
  }

  #settle(request) {
    clearTimeout(request.timer);
    this.#pending.delete(request.id);
  }

  #fail(request, code, message, details) {
    this.#settle(request);
    request.reject(new CorewireError(code, message, { of: request.type, ...details }));
  }

  // ---- what the server says ----

  #receive(text) {
    this.#heard += 1;
    let type, data;
    try {
      ({ type, data } = JSON.parse(text));
      data ??= {};
    } catch {
      type = undefined;
    }
    if (typeof type !== "string") return this.#emit("plain", text);
    if (type === "joined") this.#joined(data);
    if (type === "presence" || type === "members") this.#count(data);
    if (type === "message" && !this.#isNew(data)) return;
    if (type === "error") return this.#error(data);
    if (type === "message") data.own = typeof data.id === "string" && data.id.startsWith(`${this.#prefix}-`);
    for (const request of this.#pending.values()) {
      if (!request.isAnswer(type, data)) continue;
      if (type === "message") data.own = true;
      this.#settle(request);
      request.resolve(data);
    }
    this.#emit(type, data);
  }

  #joined(answer) {
    const { room, epoch, seq, recovered, members } = answer;
    const known = this.#rooms.get(room);
    if (!known) return; // it was left meanwhile
    const isSame = known.epoch === epoch;
    const isLost = known.asked && recovered === false;
    if (isLost) this.#emit("gap", { room, from: isSame ? (known.seq ?? known.base) + 1 : null, to: null });
    if (!isSame) known.seq = isLost || known.history ? null : seq;
    Object.assign(known, { epoch, members, joined: true, base: seq, told: isLost, answer });
    for (const request of this.#pending.values()) if (request.room === room) this.#put(request);
  }

  #count({ room, members }) {
    const known = this.#rooms.get(room);
    if (known && members !== undefined) known.members = members;
  }

  /** Whether this message is not one that came already. Tells of those between that did not come. */
  #isNew({ room, seq }) {
    const known = this.#rooms.get(room);
    if (!known) return true;
    if (known.seq !== null && seq <= known.seq) return false;
    const last = known.seq ?? known.base;
    if (seq > last + 1 && !known.told) this.#emit("gap", { room, from: last + 1, to: seq - 1 });
    known.told = false;
    known.seq = seq;
    return true;
  }

  #error(error) {
    if (error.of === "ping") return; // an answer, though of a server that does not know the question
    let request = this.#pending.get(error.id);
    for (const other of this.#pending.values()) {
      // Rooms do not know ids of anything but messages.
      const isIt = error.id === undefined && other.sent && other.type === error.of && other.data().room === error.room;
      if (isIt) request ??= other;
    }
    if (request) return this.#fail(request, error.code, error.message, { remote: true });
    this.#emit("error", error);
  }

  #emit(event, data) {
    for (const handler of [...(this.#handlers.get(event) ?? [])]) {
      try {
        handler(data);
      } catch (error) {
        setTimeout(() => { throw error; }); // theirs; others are called nevertheless
      }
    }
  }
}
