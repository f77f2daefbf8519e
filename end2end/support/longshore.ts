// The server under test: the real binary, on a free port, with its own data folder.

import { fileURLToPath } from "node:url";
import { Daemon, Folder } from "./process.js";

const target = fileURLToPath(new URL("../../target/", import.meta.url));

export class Longshore {
  /** The first administrator's name and password. */
  readonly admin = { name: "admin", password: "correct horse battery" };

  private constructor(
    /** The origin, such as `http://127.0.0.1:40123`. */
    readonly url: string,
    private readonly daemon: Daemon,
    private readonly data: Folder,
  ) {}

  static async start(args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Longshore> {
    const data = await Folder.make();
    const [daemon, url] = await Daemon.start(
      process.env.LONGSHORE_BINARY ?? `${target}debug/longshore`,
      ["serve", "--listen", "127.0.0.1:0", "--data", data.file("data"), ...args],
      {
        ready: /^listening on (http:\/\/\S+)$/m,
        cwd: data.path,
        env: {
          LONGSHORE_ADMIN_PASSWORD: "correct horse battery",
          LONGSHORE_SITE: process.env.LONGSHORE_SITE ?? `${target}site-dev`,
          ...env,
        },
      },
    );
    return new Longshore(url, daemon, data);
  }

  /** Host and port, as in an image name. */
  get host(): string {
    return new URL(this.url).host;
  }

  log(): string {
    return this.daemon.log();
  }

  async stop(): Promise<void> {
    await this.daemon.stop();
    await this.data.remove();
  }
}
