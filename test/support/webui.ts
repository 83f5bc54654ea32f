// `cellctl webui` in a real Chromium, seen as its user sees it: by roles and texts, never by the page's own markup.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, Locator, Page } from 'playwright-core';
import { until, within } from './wait.ts';

const STOP_TIMEOUT_MS = 5000;
/** The page's address with the key that it exchanges for a session, once. */
const ADDRESS = /http:\/\/127\.0\.0\.1:\d+\/#\S+/;

export interface WebuiOptions {
  readonly cellctl: string;
  readonly browser: Browser;
  readonly server: { readonly port: number; readonly token: string };
}

export function launchBrowser(path: string): Promise<Browser> {
  return chromium.launch({ executablePath: path, args: ['--disable-gpu'] });
}

/** The web page of a `cellctl` of its own, opened in a tab of its own. */
export class Webui {
  readonly page: Page;
  /** What went wrong in the page: scripts that threw, and answers of 400 and above with their paths. */
  readonly errors: string[] = [];
  /** Paths that the page asked, in order, WebSockets included; not those of the page itself. */
  readonly asked: string[] = [];
  readonly #child: ChildProcess;
  readonly #home: string;

  private constructor(page: Page, child: ChildProcess, home: string) {
    this.page = page;
    this.#child = child;
    this.#home = home;
    page.on('pageerror', (error) => this.errors.push(error.message));
    page.on('request', (request) => this.#note(request.url()));
    page.on('websocket', (socket) => this.#note(socket.url()));
    page.on('response', (response) => {
      if (response.status() >= 400)
        this.errors.push(`${response.status()} ${new URL(response.url()).pathname}`);
    });
  }

  static async open({ cellctl, browser, server }: WebuiOptions): Promise<Webui> {
    const home = await mkdtemp(join(tmpdir(), 'cellos-webui-'));
    const child = spawn(cellctl, ['webui', '--bind', 'loopback'], {
      env: { HOME: home, CELLCTL_SERVER: `http://127.0.0.1:${server.port}`, CELLCTL_TOKEN: server.token },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const context = await browser.newContext({ timezoneId: 'UTC' });
    const webui = new Webui(await context.newPage(), child, home);
    try {
      await webui.#open();
    } catch (error) {
      await webui.close();
      throw error;
    }
    return webui;
  }

  /** The badge in the page's head. */
  get badge(): Locator {
    return this.page.getByRole('banner');
  }

  /** The listed formations as name, status, and number of cells with the id's first digits. */
  async formations(): Promise<string[][]> {
    const texts = await this.page.getByRole('complementary').getByRole('button').allInnerTexts();
    return texts.map((text) => text.split('\n').map((line) => line.trim()));
  }

  /** Shows a listed formation's graph. */
  async select(name: string): Promise<void> {
    await this.page.getByRole('complementary').getByRole('button', { name }).click();
  }

  /** The graph that is shown: the members' ids, and who is authorized by whom. */
  async graph(): Promise<{ nodes: string[]; edges: string[] }> {
    const nodes = await this.page
      .getByRole('main')
      .getByRole('button', { name: /^cell /i })
      .allInnerTexts();
    const edges = this.page.getByRole('button', { name: /^edge from /i });
    const labels = await edges.evaluateAll((found) => found.map((edge) => edge.getAttribute('aria-label')));
    return {
      // A node says what it is, its id and its state.
      nodes: nodes.map((text) => text.split(/\s+/)[1] ?? text).toSorted(),
      edges: labels.map(String).toSorted(),
    };
  }

  /** The listed events as time and type, the newest first; the page keeps fifty. */
  async events(): Promise<string[]> {
    const texts = await this.page.getByRole('main').getByRole('listitem').allInnerTexts();
    return texts.map((text) => text.replaceAll(/\s+/g, ' ').trim());
  }

  async close(): Promise<void> {
    await this.page.context().close();
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGINT');
      await within(STOP_TIMEOUT_MS, 'cellctl webui to end', once(this.#child, 'exit')).catch(() =>
        this.#child.kill('SIGKILL'),
      );
    }
    await rm(this.#home, { recursive: true, force: true });
  }

  async #open(): Promise<void> {
    let output = '';
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
    const [address] = await until(() => ADDRESS.exec(output) ?? undefined, {
      what: "the page's address in what cellctl says",
    });
    // Its fonts are on the internet, which tests do not use.
    await this.page.route(
      ({ hostname }) => hostname !== '127.0.0.1',
      (route) => route.abort(),
    );
    await this.page.goto(address);
  }

  #note(url: string): void {
    const { hostname, pathname, search } = new URL(url);
    if (hostname === '127.0.0.1' && /^\/(?:v1|ws)\//.test(pathname)) this.asked.push(pathname + search);
  }
}
