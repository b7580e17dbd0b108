// npm ws against the echo example: text, binary, big, fragmented, ping, close.
const assert = require("node:assert");
const { once } = require("node:events");
const WebSocket = require("ws");

async function converse(url, options) {
  const client = new WebSocket(url, { maxPayload: 0, ...options });
  await once(client, "open");
  const check = async (message, binary) => {
    client.send(message, { binary });
    const [answer, isBinary] = await once(client, "message");
    assert.strictEqual(isBinary, binary);
    assert.ok(answer.equals(Buffer.from(message)), `${message.length} bytes`);
  };
  for (const text of ["", "hello", "Grüße 🌍".repeat(100), "y".repeat(1 << 20)]) await check(text, false);
  for (const bytes of [0, 1, 256, 65536, 1 << 20]) await check(Buffer.alloc(bytes, 7), true);
  for (const [part, fin] of [["in ", false], ["three ", false], ["parts", true]]) client.send(part, { fin });
  assert.strictEqual(String((await once(client, "message"))[0]), "in three parts");
  client.ping("there?");
  assert.strictEqual(String((await once(client, "pong"))[0]), "there?");
  client.close(4001, "done");
  const [code] = await once(client, "close");
  assert.strictEqual(code, 4001);
}

async function main() {
  const url = process.argv[2];
  await converse(url, {});
  await converse(url, { perMessageDeflate: false });
  console.log(`ws ${require("ws/package.json").version}, node ${process.version}`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
