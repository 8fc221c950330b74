// tests/lib/mmdb.mjs: writes a small database in MaxMind's format: networks, each with a place.
//
// A search tree over the bits of an IPv6 address, 24 bits a record; IPv4 is ::/96. Behind it 16 zeros, the data, a marker
// and the metadata (maxmind.github.io/MaxMind-DB).

const TYPE = { text: 2, double: 3, uint16: 5, uint32: 6, map: 7, uint64: 9, array: 11 };
const TREE_END = 16;
const EMPTY = null;

function head(type, size) {
  const sized = size < 29 ? [size] : size < 285 ? [29, size - 29] : [30, (size - 285) >> 8, (size - 285) & 0xff];
  const [first, ...more] = sized;
  return Buffer.from(type <= 7 ? [(type << 5) | first, ...more] : [first, type - 7, ...more]);
}

function uint(type, value, size) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return Buffer.concat([head(type, size), bytes.subarray(8 - size)]);
}

const text = (value) => Buffer.concat([head(TYPE.text, Buffer.byteLength(value)), Buffer.from(value)]);
const map = (members) =>
  Buffer.concat([head(TYPE.map, Object.keys(members).length), ...Object.entries(members).flatMap(([k, v]) => [text(k), v])]);
function double(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return Buffer.concat([head(TYPE.double, 8), bytes]);
}

// "192.0.2.0/24" or "2001:db8::/32": its bits in the tree.
function bitsOf(network) {
  const [address, length] = network.split("/");
  const isV4 = !address.includes(":");
  let bytes;
  if (isV4) {
    bytes = [...Array(12).fill(0), ...address.split(".").map(Number)];
  } else {
    const [left, right] = address.split("::").map((half) => (half ? half.split(":") : []));
    const groups = right === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
    bytes = groups.flatMap((g) => [parseInt(g, 16) >> 8, parseInt(g, 16) & 0xff]);
  }
  const bits = bytes.flatMap((b) => [...b.toString(2).padStart(8, "0")].map(Number));
  return bits.slice(0, Number(length) + (isV4 ? 96 : 0));
}

// places: { "192.0.2.0/24": { latitude, longitude }, … }; no two networks overlap. A place may be anything else instead:
// { raw: Buffer }.
export function makeMmdb(places, { type = "Test-City", builtAt = Date.UTC(2025, 0, 2) } = {}) {
  const nodes = [[EMPTY, EMPTY]];
  const data = [];
  let size = 0;
  for (const [network, place] of Object.entries(places)) {
    const entry =
      place.raw ?? map({ location: map({ latitude: double(place.latitude), longitude: double(place.longitude) }) });
    const bits = bitsOf(network);
    let at = 0;
    for (const bit of bits.slice(0, -1)) {
      nodes[at][bit] ??= { node: nodes.push([EMPTY, EMPTY]) - 1 };
      at = nodes[at][bit].node;
    }
    nodes[at][bits.at(-1)] = { data: size };
    data.push(entry);
    size += entry.length;
  }
  const record = (r) => {
    const bytes = Buffer.alloc(3);
    bytes.writeUIntBE(r === EMPTY ? nodes.length : r.node ?? nodes.length + TREE_END + r.data, 0, 3);
    return bytes;
  };
  return Buffer.concat([
    ...nodes.flatMap((n) => n.map(record)),
    Buffer.alloc(TREE_END),
    ...data,
    Buffer.from("\xab\xcd\xefMaxMind.com", "latin1"),
    map({
      binary_format_major_version: uint(TYPE.uint16, 2, 1),
      binary_format_minor_version: uint(TYPE.uint16, 0, 0),
      build_epoch: uint(TYPE.uint64, builtAt / 1000, 8),
      database_type: text(type),
      description: map({ en: text("made by a test") }),
      ip_version: uint(TYPE.uint16, 6, 1),
      languages: Buffer.concat([head(TYPE.array, 1), text("en")]),
      node_count: uint(TYPE.uint32, nodes.length, 4),
      record_size: uint(TYPE.uint16, 24, 1),
    }),
  ]);
}

export { double, map, text };
