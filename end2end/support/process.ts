// Child processes and temporary folders.

import { spawn, execFile, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** Runs a command and returns its standard output; throws if it fails. */
export async function run(command: string, args: string[], options: { cwd?: string } = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { ...options, maxBuffer: 64 << 20 });
  return stdout;
}

/** A temporary folder; the owner must call `remove`. */
export class Folder {
  private constructor(readonly path: string) {}

  static async make(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), "longshore-end2end-")));
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** A server that prints its address when it is ready. */
export class Daemon {
  private output = "";

  private constructor(
    private readonly name: string,
    private readonly child: ChildProcess,
  ) {}

  /** Starts the server, waits until its output matches `ready`, and returns the first group of the match. */
  static async start(
    command: string,
    args: string[],
    options: { ready: RegExp; env?: NodeJS.ProcessEnv; cwd?: string },
  ): Promise<[Daemon, string]> {
    const child = spawn(command, args, {
      env: { ...process.env, ...options.env },
      cwd: options.cwd,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const daemon = new Daemon(command, child);
    const address = new Promise<string>((resolve, reject) => {
      const read = (chunk: Buffer) => {
        daemon.output += chunk.toString();
        const match = options.ready.exec(daemon.output);
        if (match?.[1]) resolve(match[1]);
      };
      child.stdout?.on("data", read);
      child.stderr?.on("data", read);
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`${command} ended with ${code}:\n${daemon.output}`)));
      setTimeout(() => reject(new Error(`${command} is not ready after 30 s:\n${daemon.output}`)), 30_000).unref();
    });
    return [daemon, await address];
  }

  /** Its output so far. */
  log(): string {
    return this.output;
  }

  /** Sends a signal and waits for the exit; kills the process after 15 s. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.child.once("exit", () => resolve()));
    this.child.kill(signal);
    const late = setTimeout(() => {
      console.error(`${this.name} did not end within 15 s of ${signal}:\n${this.output.slice(-4000)}`);
      this.child.kill("SIGKILL");
    }, 15_000);
    await ended;
    clearTimeout(late);
  }
}
