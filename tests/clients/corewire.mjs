// examples/chat/corewire.js against a server that does what the test says.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { Corewire, CorewireError } from "../../examples/chat/corewire.js";

const { WebSocket, WebSocketServer } = createRequire(import.meta.url)("ws");

/** A server whose test reads what clients say, and says what it likes. */
class Server {
  #waiting = [];
  #said = [];
  connections = 0;

  static async start(port = 0) {
    const server = new Server();
    server.wss = new WebSocketServer({ port, host: "127.0.0.1" });
    server.wss.on("connection", (socket) => {
      server.connections += 1;
      server.socket = socket;
      socket.on("message", (text) => server.#hear(JSON.parse(text)));
    });
    await new Promise((resolve) => server.wss.once("listening", resolve));
    server.port = server.wss.address().port;
    return server;
  }

  #hear(said) {
    const next = this.#waiting.shift();
    if (next) next(said);
    else this.#said.push(said);
  }

  /** The next thing that a client says, which must be of this type: its data. */
  async next(type) {
    const said = this.#said.shift() ?? (await new Promise((resolve) => this.#waiting.push(resolve)));
    assert.equal(said.type, type, JSON.stringify(said));
    return said.data;
  }

  get unheard() {
    return this.#said;
  }

  say(type, data) {
    this.socket.send(JSON.stringify({ type, data }));
  }

  joined(room, seq, more = {}) {
    this.say("joined", { room, epoch: "e1", seq, recovered: true, members: 1, ...more });
  }

  message(room, seq, data, more = {}) {
    this.say("message", { room, seq, at: 1, data, ...more });
  }

  stop() {
    for (const socket of this.wss.clients) socket.terminate();
    return new Promise((resolve) => this.wss.close(resolve));
  }
}

/** A server and a client, and what the client tells. */
function check(name, run, options = {}) {
  test(name, { timeout: 20_000 }, async () => {
    const server = await Server.start();
    const client = new Corewire(`ws://127.0.0.1:${server.port}`, { WebSocket, backoffMin: 5, ...options });
    const events = [];
    for (const event of ["message", "gap", "error", "plain", "presence"])
      client.on(event, (data) => events.push(event === "message" ? data.seq : [event, data]));
    try {
      await run({ server, client, events });
    } finally {
      await client.close();
      await server.stop();
    }
  });
}

const until = (client, event, is = () => true) =>
  new Promise((resolve) => {
    const off = client.on(event, (data) => is(data) && (off(), resolve(data)));
  });

const rejects = (promise, code) =>
  assert.rejects(promise, (error) => error instanceof CorewireError && (assert.equal(error.code, code), true));

check("a room is joined, and what is published resolves when it comes back", async ({ server, client, events }) => {
  const joined = client.join("lobby", { history: 5 });
  const { id, ...asked } = await server.next("join");
  assert.deepEqual(asked, { room: "lobby", history: 5 });
  server.joined("lobby", 7);
  assert.deepEqual(await joined, { room: "lobby", epoch: "e1", seq: 7, recovered: true, members: 1 });
  const published = client.publish("lobby", { text: "hi" });
  const said = await server.next("publish");
  assert.deepEqual(said, { room: "lobby", data: { text: "hi" }, id: said.id });
  server.message("lobby", 6, "old");
  server.message("lobby", 7, "old");
  server.message("lobby", 8, said.data, { id: said.id, from: "ann" });
  const message = await published;
  assert.deepEqual([message.seq, message.from, message.data, message.own], [8, "ann", { text: "hi" }, true]);
  assert.deepEqual(events, [6, 7, 8]);
});

check("what comes twice is dropped, and what is missing is told", async ({ server, client, events }) => {
  client.join("lobby");
  await server.next("join");
  server.joined("lobby", 3);
  for (const seq of [2, 3, 4, 4, 5, 3, 9, 10]) server.message("lobby", seq, "x");
  server.message("other", 1, "x"); // not ours to judge
  await until(client, "message", ({ room }) => room === "other");
  assert.deepEqual(events, [4, 5, ["gap", { room: "lobby", from: 6, to: 8 }], 9, 10, 1]);
});

check("a gap between history and what is live is told", async ({ server, client, events }) => {
  client.join("lobby", { history: 2 });
  await server.next("join");
  server.joined("lobby", 3);
  server.message("lobby", 5, "x");
  await until(client, "message");
  assert.deepEqual(events, [["gap", { room: "lobby", from: 4, to: 4 }], 5]);
});

check("after a cut it comes back, takes its name and its rooms, and asks for what it missed", async ({ server, client, events }) => {
  await server.next("nick");
  client.join("lobby", { history: 2 });
  await server.next("join");
  server.joined("lobby", 3);
  server.message("lobby", 3, "x");
  server.message("lobby", 4, "x");
  await until(client, "message", ({ seq }) => seq === 4);
  server.socket.terminate();
  assert.deepEqual(await server.next("nick"), { name: "ann" });
  assert.deepEqual(await server.next("join"), { room: "lobby", since: { epoch: "e1", seq: 4 } });
  assert.equal(client.rooms.get("lobby").joined, false);
  server.joined("lobby", 6);
  for (const seq of [5, 6, 7]) server.message("lobby", seq, "x");
  await until(client, "message", ({ seq }) => seq === 7);
  assert.deepEqual(events, [3, 4, 5, 6, 7]);
  assert.equal(server.connections, 2);
}, { name: "ann" });

check("after a gap it asks from the highest number that it heard, and what was left out is told once", async ({ server, client, events }) => {
  client.join("lobby");
  await server.next("join");
  server.joined("lobby", 3);
  for (const seq of [4, 9, 12]) server.message("lobby", seq, "x"); // as a room says it, whatever the priorities
  await until(client, "message", ({ seq }) => seq === 12);
  server.socket.terminate();
  assert.deepEqual(await server.next("join"), { room: "lobby", since: { epoch: "e1", seq: 12 } });
  server.joined("lobby", 12);
  for (const seq of [13, 14]) server.message("lobby", seq, "x");
  await until(client, "message", ({ seq }) => seq === 14);
  const gap = (from, to) => ["gap", { room: "lobby", from, to }];
  assert.deepEqual(events, [4, gap(5, 8), 9, gap(10, 11), 12, 13, 14]);
});

check("what cannot be recovered is told once, with the rest as it comes", async ({ server, client, events }) => {
  client.join("lobby");
  await server.next("join");
  server.joined("lobby", 3);
  await until(client, "joined");
  server.socket.terminate();
  await server.next("join");
  server.joined("lobby", 81, { recovered: false });
  for (const seq of [80, 81, 82, 84]) server.message("lobby", seq, "x");
  await until(client, "message", ({ seq }) => seq === 84);
  server.socket.terminate();
  assert.deepEqual((await server.next("join")).since, { epoch: "e1", seq: 84 });
  server.joined("lobby", 2, { epoch: "e2", recovered: false });
  for (const seq of [1, 2, 3]) server.message("lobby", seq, "x");
  await until(client, "message", ({ seq }) => seq === 3);
  const lost = (from) => ["gap", { room: "lobby", from, to: null }];
  assert.deepEqual(events, [lost(4), 80, 81, 82, ["gap", { room: "lobby", from: 83, to: 83 }], 84, lost(null), 1, 2, 3]);
});

check("what was not sent yet is sent when there is a connection, and what was is not sent twice", async ({ server, client }) => {
  client.join("lobby");
  await server.next("join");
  server.joined("lobby", 0);
  await until(client, "joined");
  const first = client.publish("lobby", "first");
  const { id } = await server.next("publish");
  server.socket.terminate();
  await until(client, "state", ({ state }) => state === "waiting");
  const second = client.publish("lobby", "second");
  await server.next("join");
  server.joined("lobby", 1);
  server.message("lobby", 1, "first", { id }); // it had arrived
  assert.equal((await first).seq, 1);
  const said = await server.next("publish");
  assert.equal(said.data, "second");
  server.message("lobby", 2, "second", { id: said.id });
  assert.equal((await second).seq, 2);
  assert.deepEqual(server.unheard, []);
});

check("an error rejects what it belongs to", async ({ server, client, events }) => {
  const joined = client.join("attic");
  const { id } = await server.next("join");
  server.say("error", { of: "join", id, code: "failed", message: "too many rooms" });
  await assert.rejects(joined, { code: "failed", message: "too many rooms", of: "join", remote: true });
  assert.equal(client.rooms.size, 0);
  await rejects(client.publish("attic", "x"), "not_joined");
  server.say("error", { code: "bad_json", message: "what?" });
  await until(client, "error");
  const refused = { of: "join", room: "attic", code: "failed", message: "too many rooms" };
  assert.deepEqual(events, [["error", refused], ["error", { code: "bad_json", message: "what?" }]]);
});

check("no answer is told apart: never sent, or its fate unknown; and a dead connection is left", async ({ server, client }) => {
  client.join("lobby");
  await server.next("join");
  server.joined("lobby", 0);
  await until(client, "joined");
  await rejects(client.publish("lobby", "x", { timeout: 20 }), "unknown"); // and nothing else was heard
  await until(client, "state", ({ state }) => state === "open");
  assert.equal(server.connections, 2);
  await rejects(client.publish("lobby", "y", { timeout: 20 }), "timeout"); // joined again it is not yet
});

check("requests are answered by type, by number of room, or not", async ({ server, client }) => {
  client.join("lobby");
  await server.next("join");
  server.joined("lobby", 0);
  const who = client.who("lobby");
  assert.equal((await server.next("who")).room, "lobby");
  server.say("members", { room: "other", members: 0, names: [] });
  server.say("members", { room: "lobby", members: 2, names: ["ann", "bob"] });
  assert.deepEqual((await who).names, ["ann", "bob"]);
  assert.equal(client.rooms.get("lobby").members, 2);
  const nick = client.nick("eve");
  await server.next("nick");
  server.say("nick", { name: "eve" });
  await nick;
  assert.equal(client.name, "eve");
  const leave = client.leave("lobby");
  await server.next("leave");
  server.say("left", { room: "lobby" });
  await leave;
  assert.equal(client.rooms.size, 0);
});

check("types of the server's own are events, and so is what is no typed message", async ({ server, client, events }) => {
  const loud = until(client, "loud");
  while (!server.socket) await until(client, "state");
  server.say("loud", { text: "HEY" });
  assert.deepEqual(await loud, { text: "HEY" });
  for (const text of ["hello", "42", "null", "[1]", '{"type":1}']) server.socket.send(text);
  await until(client, "plain", (text) => text === '{"type":1}');
  assert.equal(events.filter(([event]) => event === "plain").length, 5);
});

check("a client that is told to stay away does", async ({ server, client }) => {
  if (client.state !== "open") await until(client, "state", ({ state }) => state === "open");
  const waits = client.who("lobby");
  await server.next("who");
  server.socket.close(4001, "kicked");
  await rejects(waits, "unknown");
  assert.equal(client.state, "closed");
  await rejects(client.who("lobby"), "closed");
});

test("between attempts it waits longer and longer, up to a limit, and half of it by chance", { timeout: 20_000 }, async () => {
  const server = await Server.start();
  const { port } = server;
  await server.stop(); // nobody listens there
  const delays = [];
  const random = () => (delays.length % 2 ? 0 : 1);
  const client = new Corewire(`ws://127.0.0.1:${port}`, { WebSocket, backoffMin: 4, backoffMax: 50, random });
  await until(client, "state", ({ delay }) => delay !== undefined && delays.push(delay) === 6);
  assert.deepEqual(delays, [4, 4, 16, 16, 50, 25]);
  const revived = await Server.start(port);
  await until(client, "state", ({ state }) => state === "open");
  await client.close();
  assert.equal(client.state, "closed");
  await revived.stop();
});

check("a connection that says nothing is asked, and left when it does not answer", async ({ server, client }) => {
  await server.next("ping");
  server.say("error", { of: "ping", code: "unknown_type", message: "what?" }); // an answer too
  await server.next("ping");
  server.say("pong", null);
  await server.next("ping");
  await until(client, "state", ({ state }) => state === "open");
  assert.equal(server.connections, 2);
}, { pingEvery: 30, timeout: 1000 }); // this process may stand still for longer than a few pings take

check("a room that one is in is not joined twice", async ({ server, client }) => {
  client.join("lobby");
  const { id } = await server.next("join");
  const again = client.join("lobby");
  assert.notEqual((await server.next("join")).id, id);
  server.joined("lobby", 3);
  server.say("error", { of: "join", room: "lobby", code: "already_in", message: "already in" });
  assert.equal((await again).seq, 3);
  assert.deepEqual(await client.join("lobby"), await again);
  assert.equal(client.rooms.get("lobby").joined, true);
  assert.deepEqual(server.unheard, []);
});

check("closing says goodbye, ends what waits, and is the end", async ({ server, client }) => {
  client.join("lobby");
  await server.next("join");
  const ended = new Promise((resolve) => server.socket.on("close", (code, reason) => resolve([code, String(reason)])));
  const waits = client.who("lobby");
  const [, , closed] = await Promise.all([rejects(waits, "closed"), client.close(1000, "done"), ended]);
  assert.deepEqual(closed, [1000, "done"]);
  assert.equal(server.connections, 1);
});
