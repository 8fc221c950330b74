// tests/lib/mqtt.mjs: a small MQTT 3.1.1 client over TLS for scenarios: says exactly what a test wants, right or wrong.
import tls from 'node:tls';

const types = { 2: 'connack', 3: 'publish', 4: 'puback', 9: 'suback', 11: 'unsuback', 13: 'pingresp' };

const lp = (text) => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};

export function packet(first, ...parts) {
  const body = Buffer.concat(parts);
  const length = [];
  let rest = body.length;
  do {
    length.push((rest & 127) | (rest > 127 ? 128 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

export function connectPacket({ clientId, username, password, keepAlive = 60, clean = true, will, level = 4, protocol = 'MQTT' }) {
  const flags = (clean ? 2 : 0) | (will ? 4 | ((will.qos ?? 0) << 3) : 0) | (password !== undefined ? 64 : 0) | (username !== undefined ? 128 : 0);
  return packet(0x10, lp(protocol), Buffer.from([level, flags, keepAlive >> 8, keepAlive & 255]), lp(clientId),
    ...(will ? [lp(will.topic), lp(will.payload)] : []),
    ...(username !== undefined ? [lp(username)] : []), ...(password !== undefined ? [lp(password)] : []));
}

export const subscribePacket = (id, filter, qos = 1) => packet(0x82, Buffer.from([id >> 8, id & 255]), lp(filter), Buffer.from([qos]));

export function publishPacket(topic, payload = '', qos = 0, id = 1) {
  return packet(0x30 | (qos << 1), lp(topic), ...(qos > 0 ? [Buffer.from([id >> 8, id & 255])] : []), Buffer.from(payload));
}

export const pubackPacket = (id) => packet(0x40, Buffer.from([id >> 8, id & 255]));

function parse(first, body) {
  const p = { type: types[first >> 4] ?? String(first >> 4) };
  if (p.type === 'connack') { p.sessionPresent = body[0] === 1; p.code = body[1]; }
  if (p.type === 'puback' || p.type === 'unsuback') p.id = body.readUInt16BE(0);
  if (p.type === 'suback') { p.id = body.readUInt16BE(0); p.codes = [...body.subarray(2)]; }
  if (p.type === 'publish') {
    p.qos = (first >> 1) & 3;
    p.dup = (first & 8) !== 0;
    const n = body.readUInt16BE(0);
    p.topic = body.subarray(2, 2 + n).toString();
    let at = 2 + n;
    if (p.qos > 0) { p.id = body.readUInt16BE(at); at += 2; }
    p.payload = body.subarray(at).toString();
  }
  return p;
}

// One connection. Packets that arrive are queued; next() takes the first that fits.
export class Mqtt {
  static open({ host = '127.0.0.1', port, servername = 'localhost', ca, cert, key, maxVersion, localAddress }) {
    return new Promise((resolve, reject) => {
      const socket = tls.connect({ host, port, servername, ca, cert, key, maxVersion, localAddress }, () => resolve(new Mqtt(socket)));
      socket.once('error', reject);
    });
  }

  constructor(socket) {
    this.socket = socket;
    this.packets = [];
    this.waiting = [];
    this.closed = new Promise((resolve) => { this.onClosed = resolve; });
    this.isClosed = false;
    this.pending = Buffer.alloc(0);
    this.packetId = 1;
    socket.removeAllListeners('error');
    socket.on('error', () => {});
    socket.on('data', (data) => this.input(data));
    socket.on('close', () => {
      this.isClosed = true;
      this.onClosed(Date.now());
      for (const w of this.waiting.splice(0)) w.reject(new Error('connection closed'));
    });
  }

  input(data) {
    this.pending = Buffer.concat([this.pending, data]);
    for (;;) {
      let at = 1, length = 0, shift = 0;
      for (;;) {
        if (at >= this.pending.length) return;
        const b = this.pending[at++];
        length |= (b & 127) << shift;
        shift += 7;
        if ((b & 128) === 0) break;
      }
      if (this.pending.length < at + length) return;
      const p = parse(this.pending[0], this.pending.subarray(at, at + length));
      this.pending = this.pending.subarray(at + length);
      const i = this.waiting.findIndex((w) => w.fits(p));
      if (i >= 0) this.waiting.splice(i, 1)[0].resolve(p);
      else this.packets.push(p);
    }
  }

  next(type, within = 15000) {
    const fits = typeof type === 'function' ? type : (p) => p.type === type;
    const i = this.packets.findIndex(fits);
    if (i >= 0) return Promise.resolve(this.packets.splice(i, 1)[0]);
    if (this.isClosed) return Promise.reject(new Error('connection closed'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${type} within ${within} ms`)), within);
      const done = (f) => (x) => { clearTimeout(timer); f(x); };
      this.waiting.push({ fits, resolve: done(resolve), reject: done(reject) });
    });
  }

  send(bytes) { this.socket.write(bytes); }

  async connect(options) {
    this.send(connectPacket(options));
    return (await this.next('connack')).code;
  }

  async subscribe(filter, qos = 1) {
    const id = this.packetId++;
    this.send(subscribePacket(id, filter, qos));
    return (await this.next((p) => p.type === 'suback' && p.id === id)).codes[0];
  }

  // QoS 1; resolves at the PUBACK.
  async publish(topic, payload) {
    const id = this.packetId++;
    if (this.packetId > 60000) this.packetId = 1;
    this.send(publishPacket(topic, payload, 1, id));
    await this.next((p) => p.type === 'puback' && p.id === id);
  }

  end() { this.send(packet(0xe0)); this.socket.end(); }
  destroy() { this.socket.destroy(); }
}

// The road of a device to its hub, as SDKs walk it. Resolves to {status, body} of the last answer.
export async function provision(mqtt, { idScope, registrationId, apiVersion = '2019-03-31', payload, password, pollEveryMs = 10 }) {
  const code = await mqtt.connect({ clientId: registrationId, username: `${idScope}/registrations/${registrationId}/api-version=${apiVersion}&ClientVersion=test`, password });
  if (code !== 0) return { connack: code };
  await mqtt.subscribe('$dps/registrations/res/#');
  const answer = async (topic, body) => {
    mqtt.send(publishPacket(topic, body, 1, mqtt.packetId++));
    const p = await mqtt.next('publish');
    const match = /^\$dps\/registrations\/res\/(\d+)\/\?\$rid=([^&]*)(?:&retry-after=(\d+))?$/.exec(p.topic);
    if (!match) throw new Error(`odd topic ${p.topic}`);
    return { status: Number(match[1]), rid: match[2], retryAfter: match[3], body: JSON.parse(p.payload) };
  };
  let last = await answer('$dps/registrations/PUT/iotdps-register/?$rid=r1', JSON.stringify({ registrationId, ...(payload !== undefined ? { payload } : {}) }));
  const { operationId } = last.body;
  for (let i = 0; last.status === 202 && i < 100; i++) {
    last = await answer(`$dps/registrations/GET/iotdps-get-operationstatus/?$rid=p${i}&operationId=${operationId}`, ' ');
    if (last.status === 202) await new Promise((r) => setTimeout(r, pollEveryMs));
  }
  return last;
}

// Devices under the device CA of --dev, each provisioned when it is first asked for, and again after forget(cn). Resolves to its
// certificate and key.
export function provisionedDevices(b, pki) {
  const devices = {};
  const device = async (cn) => {
    if (!devices[cn]) {
      devices[cn] = await pki.make(cn, { issuer: b.dev.deviceCa });
      const m = await b.mqtt(devices[cn]);
      const { body } = await provision(m, { idScope: b.dev.idScope, registrationId: cn });
      if (body.status !== 'assigned') throw new Error(`${cn}: ${JSON.stringify(body)}`);
      m.end();
    }
    return devices[cn];
  };
  device.forget = (cn) => { delete devices[cn]; };
  return device;
}
