// Signs requests as `openrds.domain.signature` checks them: SDK-HMAC-SHA256, variant A.
// The keys stay in this page: they are in no storage, and only signatures are sent.

const ALGORITHM = "SDK-HMAC-SHA256";

const bytesOf = (text) => new TextEncoder().encode(text);
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
const sha256 = async (text) => hex(await crypto.subtle.digest("SHA-256", bytesOf(text)));

async function hmac(key, text) {
  const imported = await crypto.subtle.importKey("raw", bytesOf(key), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return hex(await crypto.subtle.sign("HMAC", imported, bytesOf(text)));
}

// Also what encodeURIComponent leaves as it is, and the service does not.
const encode = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());

function canonicalPath(path) {
  const encoded = path.split("/").map((part) => encode(decodeURIComponent(part))).join("/");
  return encoded.endsWith("/") ? encoded : encoded + "/";
}

// The service sorts by the bytes of UTF-8, JavaScript by the units of UTF-16.
const inBytes = (text) => String.fromCharCode(...bytesOf(text));
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function canonicalQuery(parameters) {
  return [...parameters]
    .sort(([a, x], [b, y]) => compare(inBytes(a), inBytes(b)) || compare(inBytes(x), inBytes(y)))
    .map(([key, value]) => `${encode(key)}=${encode(value)}`)
    .join("&");
}

// The headers that make a request the holder's of the keys. `url` is absolute, `body` a text.
export async function sign(method, url, body, { access_key, secret_key }, now = new Date()) {
  if (!globalThis.crypto?.subtle)
    throw new Error("Browsers sign only on https, or on localhost and 127.0.0.1: open the page there, or use a token.");
  const { host, pathname, searchParams } = new URL(url);
  const date = now.toISOString().replace(/[-:]|\.\d+/g, "");
  // It makes each signature unique: a repeated one would get the answer of the first call.
  const headers = { host, "x-request-id": crypto.randomUUID().replaceAll("-", ""), "x-sdk-date": date };
  const names = Object.keys(headers).join(";");
  const canonical = [
    method.toUpperCase(),
    canonicalPath(pathname),
    canonicalQuery(searchParams),
    ...Object.entries(headers).map(([name, value]) => `${name}:${value}`),
    "",
    names,
    await sha256(body),
  ].join("\n");
  const signature = await hmac(secret_key, [ALGORITHM, date, await sha256(canonical)].join("\n"));
  return {
    "X-Request-Id": headers["x-request-id"],
    "X-Sdk-Date": date,
    Authorization: `${ALGORITHM} Access=${access_key}, SignedHeaders=${names}, Signature=${signature}`,
  };
}
