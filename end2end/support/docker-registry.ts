// Debian's docker-registry as the registry elsewhere: open, with passwords, or with TLS.

import { readFile, writeFile } from "node:fs/promises";
import { Daemon, Folder, run } from "./process.js";

export interface RegistryOptions {
  /** Who may sign in; nobody needs to when absent. */
  user?: { name: string; password: string };
  /** Serve over TLS, with a certificate that no browser or server trusts by itself. */
  tls?: boolean;
}

export class DockerRegistry {
  private constructor(
    /** Host and port, as they stand in the name of an image. */
    readonly host: string,
    /** The address to type into Longshore. */
    readonly url: string,
    /** The certificate to trust, in PEM, when it serves over TLS. */
    readonly certificate: string | undefined,
    private readonly daemon: Daemon,
    private readonly data: Folder,
  ) {}

  static async start(options: RegistryOptions = {}): Promise<DockerRegistry> {
    const data = await Folder.make();
    const http: Record<string, unknown> = { addr: "127.0.0.1:0" };
    let certificate: string | undefined;
    if (options.tls) {
      certificate = await makeCertificate(data);
      http.tls = { certificate: data.file("cert.pem"), key: data.file("key.pem") };
    }
    let auth: unknown;
    if (options.user) {
      const line = await run("htpasswd", ["-Bbn", options.user.name, options.user.password]);
      await writeFile(data.file("htpasswd"), line);
      auth = { htpasswd: { realm: "docker-registry", path: data.file("htpasswd") } };
    }
    // The configuration is YAML, of which JSON is a part.
    const configuration = {
      version: "0.1",
      storage: { filesystem: { rootdirectory: data.file("data") }, delete: { enabled: true } },
      http,
      ...(auth ? { auth } : {}),
    };
    await writeFile(data.file("config.yml"), JSON.stringify(configuration));
    const [daemon, host] = await Daemon.start("docker-registry", ["serve", data.file("config.yml")], {
      ready: /listening on (127\.0\.0\.1:\d+)/,
      env: { OTEL_TRACES_EXPORTER: "none" },
    });
    return new DockerRegistry(host, `${options.tls ? "https" : "http"}://${host}`, certificate, daemon, data);
  }

  async stop(): Promise<void> {
    await this.daemon.stop();
    await this.data.remove();
  }
}

async function makeCertificate(data: Folder): Promise<string> {
  await run("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
    ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
    // OpenSSL makes it an authority unless told otherwise, and servers must not be one.
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ...["-keyout", data.file("key.pem"), "-out", data.file("cert.pem")],
  ]);
  return readFile(data.file("cert.pem"), "utf8");
}
