// The chat's page in two windows of a headless Chromium: they join, talk, see each other come and go, lose their
// connection and come back. And corewire.js in node against the same server.
//   node chat.mjs CHROMIUM PORT SCREENSHOTS
// It connects through a door of its own, which it can shut: what a network does.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import net from "node:net";
import { Corewire } from "../../examples/chat/corewire.js";
import { Browser, Window } from "./chromium.mjs";

const { WebSocket } = createRequire(import.meta.url)("ws");
const [browser, port, pictures] = process.argv.slice(2);

// ---- a door to the server ----

class Door {
  #pipes = new Set();

  static async open(port) {
    const door = new Door();
    door.server = net.createServer((near) => {
      const far = net.connect(port, "127.0.0.1");
      for (const [from, to] of [[near, far], [far, near]]) {
        from.pipe(to);
        from.on("error", () => to.destroy());
        from.on("close", () => to.destroy());
        door.#pipes.add(from);
      }
    });
    await door.unlock(0);
    door.port = door.server.address().port;
    return door;
  }

  unlock(port = this.port) {
    return new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
  }

  /** Nobody comes in any more, and who is in is cut off. */
  lock() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const pipe of this.#pipes) pipe.destroy();
    this.#pipes.clear();
    return closed;
  }
}

// ---- a window with the chat in it ----

class Chat extends Window {
  untilSaid(text) {
    return this.until(`document.querySelector(".log:not([hidden])").innerText.includes(${JSON.stringify(text)})`, `${text} is said`);
  }

  untilPeople(...names) {
    const expected = JSON.stringify(names);
    return this.until(`JSON.stringify([...document.querySelectorAll("#people li > span:last-child")].map((name) => name.textContent)) === ${JSON.stringify(expected)}`, `there are ${names}`);
  }

  async say(text) {
    await this.click("#text");
    await this.type(text);
    await this.press("Enter");
  }

  /** The last of our messages came back. */
  untilDelivered(text) {
    return this.until(`[...document.querySelectorAll(".log:not([hidden]) .said")].some((said) => said.dataset.state === "delivered" && said.querySelector(".text").textContent === ${JSON.stringify(text)})`, `${text} is delivered`);
  }
}

const count = (window, text) =>
  window.read(`[...document.querySelectorAll(".log:not([hidden]) .said .text")].filter((said) => said.textContent === ${JSON.stringify(text)}).length`);

// ---- what happens ----

const door = await Door.open(Number(port));
const chromium = await Browser.start(browser, pictures, Chat);
const address = `http://127.0.0.1:${door.port}/`;

try {
  // Ann comes, says her name, and is alone.
  const ann = await chromium.window({ width: 1100, height: 680 });
  await ann.send("Page.navigate", { url: address });
  await ann.until(`document.querySelector("#naming[open]") && document.activeElement.id === "name"`, "she is asked for her name");
  await ann.type("ann");
  await ann.press("Enter");
  await ann.until(`document.querySelector("#status").textContent === "connected"`, "she is connected");
  await ann.untilPeople("ann (you)");
  await ann.say("Good morning! Is anybody here yet?");
  await ann.untilDelivered("Good morning! Is anybody here yet?");

  // Bob comes on his phone, and reads what was said before.
  const phone = { width: 390, height: 780, dark: true };
  let bob = await chromium.window(phone);
  await bob.send("Page.navigate", { url: address });
  await bob.until(`document.activeElement.id === "name"`);
  await bob.type("bob");
  await bob.press("Enter");
  await bob.untilSaid("Good morning! Is anybody here yet?");
  await ann.untilPeople("ann (you)", "bob");
  await ann.untilSaid("bob joined");
  assert.equal(await bob.read(`document.documentElement.scrollWidth <= innerWidth`), true, "nothing is wider than a phone");

  // They talk.
  await bob.say("Me, from the train.");
  await ann.untilSaid("Me, from the train.");
  await ann.say("The notes are at https://example.org/notes, have a look.");
  await bob.untilSaid("have a look.");
  assert.equal(await bob.read(`document.querySelector(".log a").href`), "https://example.org/notes");

  // Another room: unread there, commands, names.
  await ann.say("/join kitchen");
  await ann.until(`document.querySelector("#title strong").textContent === "# kitchen"`);
  await bob.say("I have. Are you still there?");
  await ann.until(`document.querySelector(".unread")?.textContent === "1"`);
  await ann.say("/who");
  await ann.untilSaid("1 person: ann");
  await ann.click("#rooms li:first-child .room");
  await ann.untilSaid("I have. Are you still there?");
  await bob.say("/nick Bob");
  await ann.untilPeople("ann (you)", "Bob");
  await ann.say("Always.");
  await bob.untilSaid("Always.");
  await ann.picture("chat");
  await bob.picture("phone");
  await bob.click("[data-opens=people]");
  await bob.until(`document.querySelector("#aside").checkVisibility()`);
  await bob.untilPeople("ann", "Bob (you)");
  await bob.picture("phone-people");
  await bob.press("Escape");
  await bob.until(`!document.querySelector("#aside").checkVisibility()`);

  // What they write is text, whatever it looks like.
  const markup = `<img src=x onerror="document.title='owned'"><b>bold</b>`;
  await bob.say(markup);
  await ann.untilSaid(markup);
  assert.equal(await ann.read(`document.querySelectorAll(".log img, .log b").length`), 0);

  // One is killed; the other sees it. It comes back, reloaded, and has its name, its rooms, and what was said.
  await bob.close();
  await ann.untilSaid("Bob left");
  await ann.untilPeople("ann (you)");
  await ann.say("Lost you in the tunnel.");
  await ann.untilDelivered("Lost you in the tunnel.");
  bob = await chromium.window(phone);
  await bob.send("Page.navigate", { url: `${address}?name=Bob` });
  await bob.untilSaid("Lost you in the tunnel.");
  await ann.untilPeople("ann (you)", "Bob");
  await ann.send("Page.reload");
  await ann.untilPeople("ann (you)", "Bob");
  await ann.untilSaid("Lost you in the tunnel.");
  assert.equal(await ann.read(`[...document.querySelectorAll("#rooms .room")].length`), 2, "her rooms are kept");

  // The network goes. What is said meanwhile is marked so, and arrives when it comes back; nothing is lost or twice.
  const desk = new Corewire(`ws://127.0.0.1:${port}/ws`, { WebSocket, name: "desk", protocols: "corewire.json" });
  const heard = [];
  desk.on("message", ({ data }) => heard.push(data));
  await desk.join("lobby");
  const cat = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  await new Promise((resolve) => cat.once("open", resolve));
  cat.send(Buffer.from([0, 255]));
  for (const odd of [null, { text: 5 }, [[]]]) await desk.publish("lobby", odd);
  await ann.untilSaid("[[]]");
  await ann.untilSaid("(2 bytes that are no text)");
  cat.close();
  while (heard.length < 4) await new Promise((resolve) => desk.on("message", resolve));
  heard.length = 0;
  await door.lock();
  await ann.until(`!document.querySelector("#banner").hidden`, "she sees that the connection is lost");
  await ann.say("Does this arrive?");
  await ann.until(`document.querySelector("[data-state=sending]")`, "it is on its way");
  await ann.picture("lost");
  assert.equal((await desk.publish("lobby", "While you were away.")).own, true);
  await door.unlock();
  // She does not wait for the next attempt; unless that has come just now, and the button is gone.
  await ann.read(`document.querySelector("#banner:not([hidden]) button")?.click()`);
  await ann.untilDelivered("Does this arrive?");
  for (const window of [ann, bob]) {
    await window.untilSaid("Does this arrive?");
    assert.equal(await count(window, "While you were away."), 1);
    assert.equal(await count(window, "Does this arrive?"), 1);
    assert.equal(await window.read(`document.querySelectorAll(".gap").length`), 0, "nothing was missed");
  }
  await ann.picture("recovered");

  // The same client in node.
  while (heard.length < 2) await new Promise((resolve) => desk.on("message", resolve));
  assert.deepEqual(heard, ["While you were away.", "Does this arrive?"]);
  assert.deepEqual((await desk.who("lobby")).names, ["Bob", "ann", "desk"]);
  await assert.rejects(desk.join("x".repeat(300)), { code: "bad_name", remote: true });
  await desk.nick("office");
  await assert.rejects(desk.nick(""), { code: "bad_name" });
  await desk.leave("lobby");
  await assert.rejects(desk.publish("lobby", 1), { code: "not_joined" });
  await desk.close();
  assert.deepEqual(chromium.failures, [], "nothing went wrong in the pages");
} finally {
  await chromium.stop();
  await door.lock();
}
console.log(`two windows, node ${process.version}; pictures in ${pictures}`);
