// A headless Chromium, by its DevTools protocol: windows that can be read, typed into and photographed.
import { spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

const { WebSocket } = createRequire(import.meta.url)("ws");

export class Browser {
  #next = 1;
  #answers = new Map();
  failures = [];

  /** Runs `command`. Its windows are of `Kind`, and their pictures go to `pictures`. */
  static async start(command, pictures, Kind = Window) {
    const self = Object.assign(new Browser(), { pictures, Kind });
    self.profile = fs.mkdtempSync(path.join(os.tmpdir(), "corewire-"));
    const flags = (
      "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
      "--disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-port=0 " +
      "--disable-background-timer-throttling --disable-renderer-backgrounding"
    ).split(" ");
    self.process = spawn(command, [...flags, `--user-data-dir=${self.profile}`, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    const url = await new Promise((resolve, reject) => {
      self.process.stderr.on("data", (data) => {
        said += data;
        const found = said.match(/DevTools listening on (ws:\S+)/);
        if (found) resolve(found[1]);
      });
      self.process.on("exit", () => reject(new Error(`the browser ended: ${said.slice(-500)}`)));
    });
    self.socket = new WebSocket(url, { maxPayload: 0 });
    self.socket.on("message", (text) => self.#hear(JSON.parse(text)));
    await new Promise((resolve) => self.socket.once("open", resolve));
    return self;
  }

  #hear({ id, method, params, result, error }) {
    if (method === "Runtime.exceptionThrown") this.failures.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    const answer = this.#answers.get(id);
    this.#answers.delete(id);
    if (error) answer?.reject(new Error(error.message));
    else answer?.resolve(result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.#next++;
    this.socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise((resolve, reject) => this.#answers.set(id, { resolve, reject }));
  }

  /** A window of its own, without anything of the others. */
  async window({ width, height, dark = false }) {
    const { browserContextId } = await this.send("Target.createBrowserContext");
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId, width, height });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const window = new this.Kind(this, sessionId, browserContextId);
    await window.send("Runtime.enable");
    await window.send("Page.enable");
    const mobile = width < 500;
    await window.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
    const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
    await window.send("Emulation.setEmulatedMedia", { features });
    return window;
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.send("Browser.close").catch(() => {});
    await ended;
    fs.rmSync(this.profile, { recursive: true, force: true, maxRetries: 10 });
  }
}

export class Window {
  constructor(browser, session, context) {
    Object.assign(this, { browser, session, context });
  }

  send(method, params) {
    return this.browser.send(method, params, this.session);
  }

  /** What this expression is in the page. */
  async read(expression) {
    const answer = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text);
    return answer.result.value;
  }

  /** Waits until it is so in the page. */
  async until(expression, what = expression) {
    const end = Date.now() + 20_000;
    for (;;) {
      const is = await this.read(expression).catch(() => false); // the page may be on its way
      if (is) return is;
      if (Date.now() > end) throw new Error(`waited in vain until ${what}; the page says: ${await this.read("document.body.innerText")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Types, as hands do. */
  async type(text) {
    await this.send("Input.insertText", { text });
  }

  async press(key) {
    const code = { Enter: 13, Tab: 9, Escape: 27 }[key];
    const event = { key, code: key, windowsVirtualKeyCode: code, text: key === "Enter" ? "\r" : undefined };
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async click(selector) {
    await this.until(`document.querySelector(${JSON.stringify(selector)})?.checkVisibility()`, `${selector} is there`);
    const { x, y } = await this.read(`(() => { const { x, y, width, height } = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect(); return { x: x + width / 2, y: y + height / 2 }; })()`);
    for (const type of ["mousePressed", "mouseReleased"])
      await this.send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
  }

  async picture(name) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    fs.mkdirSync(this.browser.pictures, { recursive: true });
    fs.writeFileSync(path.join(this.browser.pictures, `${name}.png`), Buffer.from(data, "base64"));
  }

  close() {
    return this.browser.send("Target.disposeBrowserContext", { browserContextId: this.context });
  }
}
