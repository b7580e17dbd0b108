// The gateway's page in a headless Chromium: it encodes trades and an order, and shows the table that the server keeps.
//   node gateway.mjs CHROMIUM PORT SCREENSHOTS
import assert from "node:assert/strict";
import { Browser } from "./chromium.mjs";

const [browser, port, pictures] = process.argv.slice(2);
const chromium = await Browser.start(browser, pictures);
const fill = async (page, id, text) => {
  await page.read(`document.querySelector("#${id}").select() ?? document.querySelector("#${id}").focus()`);
  await page.type(text);
};
const rows = `[...document.querySelectorAll("#table tr")].map((row) => [...row.children].map((cell) => cell.textContent).join(" "))`;
const untilRow = (page, row) => page.until(`${rows}.includes(${JSON.stringify(row)})`, `the table has ${row}`);

try {
  const page = await chromium.window({ width: 900, height: 640 });
  await page.send("Page.navigate", { url: `http://127.0.0.1:${port}/` });
  await page.until(`document.querySelector("#status").textContent === "connected"`);

  // Two trades of one symbol: the bytes of the first are those of the schema.
  await fill(page, "symbol", "b");
  await page.click("#trade");
  const bytes = await page.until(`document.querySelector("#bytes").textContent`);
  assert.equal(
    bytes,
    "29 bytes: 15 00 01 00 01 00 00 00 | 01 00 00 00 00 00 00 00 42 00 00 00 00 00 20 59 40 e8 03 00 00",
  );
  await fill(page, "price", "250.75");
  await fill(page, "quantity", "24");
  await page.click("#trade");
  await untilRow(page, "B 2 1,024 250.7500");

  // An order is answered with the trade that it became, which is in the table too.
  await fill(page, "symbol", "z");
  await page.click("#order");
  await page.until(`document.querySelector("#answer").textContent === "order 3 became a trade: 24 of Z at 250.75"`);
  await untilRow(page, "Z 1 24 250.7500");
  await untilRow(page, "B 2 1,024 250.7500");
  await page.picture("gateway");

  // Who comes later sees the table at once, on a phone too.
  const phone = await chromium.window({ width: 390, height: 780, dark: true });
  await phone.send("Page.navigate", { url: `http://127.0.0.1:${port}/` });
  await untilRow(phone, "Z 1 24 250.7500");
  assert.equal(await phone.read("document.documentElement.scrollWidth <= innerWidth"), true, "nothing is wider than a phone");
  await phone.picture("phone");
  assert.deepEqual(chromium.failures, [], "nothing went wrong in the pages");
} finally {
  await chromium.stop();
}
console.log(`the page, in two windows; pictures in ${pictures}`);
