// Debian's docker-registry as the remote registry: anonymous, with passwords, or with TLS.

import { readFile, writeFile } from "node:fs/promises";
import { Daemon, Folder, run } from "./process.js";

export interface RegistryOptions {
  /** The only user; if omitted, access is anonymous. */
  user?: { name: string; password: string };
  /** Serve over TLS, with a self-signed certificate. */
  tls?: boolean;
}

export class DockerRegistry {
  private constructor(
    /** Host and port, as in an image name. */
    readonly host: string,
    /** The URL to enter in Longshore. */
    readonly url: string,
    /** The certificate to trust, in PEM; `undefined` without TLS. */
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
    // The configuration is YAML, a superset of JSON.
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
    // By default OpenSSL creates a CA certificate, which is not accepted as a server certificate.
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ...["-keyout", data.file("key.pem"), "-out", data.file("cert.pem")],
  ]);
  return readFile(data.file("cert.pem"), "utf8");
}
