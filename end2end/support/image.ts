// Small generated images: one layer with one file.

import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { Folder, run } from "./process.js";

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

/** An image at a registry, and the credentials for it. */
export interface Destination {
  /** Host and port. */
  host: string;
  /** `namespace/name:tag`. */
  name: string;
  user?: { name: string; password: string };
}

/** Pushes an image with skopeo and returns its digest. The same text always gives the same digest. */
export async function push(text: string, destination: Destination): Promise<string> {
  const folder = await Folder.make();
  try {
    const digest = await writeLayout(folder.file("layout"), text);
    const credentials = destination.user
      ? ["--dest-creds", `${destination.user.name}:${destination.user.password}`]
      : ["--dest-no-creds"];
    await run("skopeo", [
      ...["--insecure-policy", "--tmpdir", folder.path, "copy", "--preserve-digests", "--dest-tls-verify=false"],
      ...credentials,
      `oci:${folder.file("layout")}`,
      `docker://${destination.host}/${destination.name}`,
    ]);
    return digest;
  } finally {
    await folder.remove();
  }
}

/** The digest that a tag points to, computed from the manifest that skopeo fetches. */
export async function digestOf(source: Destination): Promise<string> {
  const credentials = source.user ? ["--creds", `${source.user.name}:${source.user.password}`] : ["--no-creds"];
  const name = `docker://${source.host}/${source.name}`;
  const manifest = await run("skopeo", ["inspect", "--raw", "--tls-verify=false", ...credentials, name]);
  return digest(Buffer.from(manifest));
}

async function writeLayout(folder: string, text: string): Promise<string> {
  await mkdir(`${folder}/blobs/sha256`, { recursive: true });
  const store = async (mediaType: string, bytes: Buffer): Promise<Descriptor> => {
    const descriptor = { mediaType, digest: digest(bytes), size: bytes.length };
    await writeFile(`${folder}/blobs/sha256/${descriptor.digest.slice("sha256:".length)}`, bytes);
    return descriptor;
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));

  const layer = tar("message.txt", Buffer.from(text));
  const layers = [await store("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(layer))];
  const config = await store(
    "application/vnd.oci.image.config.v1+json",
    json({ architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids: [digest(layer)] } }),
  );
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = await store(mediaType, json({ schemaVersion: 2, mediaType, config, layers }));
  await writeFile(`${folder}/oci-layout`, json({ imageLayoutVersion: "1.0.0" }));
  await writeFile(`${folder}/index.json`, json({ schemaVersion: 2, manifests: [manifest] }));
  return manifest.digest;
}

/** A tar archive (ustar) with one file. */
function tar(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, length: number) => value.toString(8).padStart(length - 1, "0") + "\0";
  header.write(name, 0);
  header.write(octal(0o644, 8), 100);
  header.write(octal(0, 8) + octal(0, 8), 108);
  header.write(octal(content.length, 12) + octal(0, 12), 124);
  header.write("        0", 148);
  header.write("ustar\0" + "00", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(sum.toString(8).padStart(6, "0") + "\0 ", 148);
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)]);
}

function digest(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
