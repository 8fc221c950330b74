// Malformed packets, topics, bodies and silence: closed within the named time limits or answered with a clear error, at nobody else's cost.
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { Berthd, Pki, devCa } from '../lib/berth.mjs';
import { connectPacket, packet, provision, publishPacket, subscribePacket } from '../lib/mqtt.mjs';

let b, pki, d;
const limit = { handshake: 10000, connect: 10000, packet: 20000, request: 20000, slack: 4000 };

// Resolves to the milliseconds until the peer closed.
function untilClosed(socket, within) {
  const at = Date.now();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { socket.destroy(); reject(new Error(`still open after ${within} ms`)); }, within);
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => { clearTimeout(timer); resolve(Date.now() - at); });
  });
}

const tcp = (port) => new Promise((resolve) => { const s = net.connect(port, '127.0.0.1', () => resolve(s)); });
const secure = (port, extra = {}) => new Promise((resolve, reject) => {
  const s = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: b.ca, ...extra }, () => resolve(s));
  s.once('error', reject);
});

async function healthy() {
  const m = await b.mqtt(d);
  assert.equal((await provision(m, { idScope: b.dev.idScope, registrationId: d.cn })).body.status, 'assigned');
  m.end();
}

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  d = await pki.make('healthy', { issuer: devCa(b) });
  await healthy();
});
after(async () => {
  await healthy();
  pki?.remove();
  await b?.stop();
});

describe('silence and halves are closed in time, and meanwhile others are served', { concurrency: true }, () => {
  const username = () => `${b.dev.idScope}/registrations/x/api-version=2019-03-31`;
  const cases = [
    ['nothing at all, MQTT port', () => tcp(b.mqttPort), '', limit.handshake],
    ['nothing at all, HTTPS port', () => tcp(b.httpsPort), '', limit.handshake],
    ['half a ClientHello', () => tcp(b.mqttPort), Buffer.from('160301020001', 'hex'), limit.handshake],
    ['TLS, then nothing', () => secure(b.mqttPort), '', limit.connect],
    ['half a CONNECT', () => secure(b.mqttPort), connectPacket({ clientId: 'x', username: 'y' }).subarray(0, 9), limit.packet],
    ['CONNECT, then half a PUBLISH', () => secure(b.mqttPort), () => Buffer.concat([connectPacket({ clientId: 'x', username: username(), keepAlive: 0 }), Buffer.from([0x30, 50, 0])]), limit.packet],
    ['half an HTTP request', () => secure(b.httpsPort), 'GET /healthz HTTP/1.1\r\nHost:', limit.request],
    ['half an HTTP body', () => secure(b.httpsPort), 'PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc', limit.request],
  ];
  for (const [what, open, bytes, within] of cases) {
    test(what, async () => {
      const socket = await open();
      const data = typeof bytes === 'function' ? bytes() : bytes;
      if (data.length > 0) socket.write(data);
      await untilClosed(socket, within + limit.slack);
    });
  }
  test('one byte a second does not stretch the limit', async () => {
    const socket = await secure(b.mqttPort);
    const bytes = connectPacket({ clientId: 'x'.repeat(60), username: 'y' });
    let at = 0;
    const drip = setInterval(() => socket.write(bytes.subarray(at, ++at)), 1000);
    try {
      await untilClosed(socket, limit.packet + limit.slack);
    } finally {
      clearInterval(drip);
    }
  });
  test('others are served meanwhile', async () => {
    for (let i = 0; i < 10; i++) await healthy();
  });
});

test('garbage instead of TLS is closed at once', async () => {
  for (const port of [b.mqttPort, b.httpsPort]) {
    const socket = await tcp(port);
    socket.write('GET / HTTP/1.0\r\n\r\n');
    assert.ok(await untilClosed(socket, 3000) < 2000);
  }
});

test('malformed MQTT packets close the connection at once', async () => {
  const hello = connectPacket({ clientId: 'x', username: `${b.dev.idScope}/registrations/x/api-version=2019-03-31` });
  const cases = [
    ['a packet before CONNECT', publishPacket('a', 'b')],
    ['reserved type 0', Buffer.from([0x00, 0])],
    ['reserved type 15', Buffer.from([0xf0, 0])],
    ['a length of five bytes', Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ['a length beyond the limit', Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f])],
    ['a second CONNECT', Buffer.concat([hello, hello])],
    ['reserved connect flag', Buffer.from(hello).fill(0x83, 9, 10)],
    ['SUBSCRIBE without filters', Buffer.concat([hello, packet(0x82, Buffer.from([0, 1]))])],
    ['SUBSCRIBE with wrong flags', Buffer.concat([hello, packet(0x80, subscribePacket(1, 'a').subarray(2))])],
    ['SUBSCRIBE with packet ID 0', Buffer.concat([hello, subscribePacket(0, 'a')])],
    ['PUBLISH with QoS 3', Buffer.concat([hello, Buffer.from([0x36, 5, 0, 1, 97, 0, 1])])],
    ['PUBLISH to a wildcard', Buffer.concat([hello, publishPacket('a/#', 'x')])],
    ['PUBLISH whose topic is longer than it', Buffer.concat([hello, Buffer.from([0x30, 3, 0, 9, 97])])],
    ['a packet only servers send', Buffer.concat([hello, Buffer.from([0x20, 2, 0, 0])])],
    ['ill-formed UTF-8', connectPacket({ clientId: 'x', username: 'y' }).map((v) => (v === 0x79 ? 0xff : v))],
  ];
  for (const [what, bytes] of cases) {
    const socket = await secure(b.mqttPort);
    const closed = untilClosed(socket, 5000);
    socket.write(bytes);
    await closed.catch((e) => assert.fail(`${what}: ${e.message}`));
  }
});

test('user names that are nobody\'s', async () => {
  const cases = ['', 'x', '//', `${b.dev.idScope}/registrations/`, `${b.dev.idScope}/registrations/x`, `${b.dev.idScope}/registrations/x/`,
    `${b.dev.idScope}/registrations/x/api-version=`, `${b.dev.idScope}/registrations/x/api-version=yesterday`, `/registrations/x/api-version=2019-03-31`];
  for (const username of cases) {
    const m = await b.mqtt(d);
    const code = await m.connect({ clientId: 'x', username }).catch(() => 'closed');
    assert.notEqual(code, 0, username);
  }
});

test('DPS topics and bodies', async () => {
  const open = async () => {
    const m = await b.mqtt(d);
    assert.equal(await m.connect({ clientId: 'healthy', username: `${b.dev.idScope}/registrations/healthy/api-version=2019-03-31` }), 0);
    await m.subscribe('$dps/registrations/res/#');
    return m;
  };
  const bodies = ['{', '[]', '"x"', '{"registrationId":7}', '{"registrationId":"other"}', '{"a":1,"a":2}', '\ufffd{'];
  for (const body of bodies) {
    const m = await open();
    m.send(publishPacket('$dps/registrations/PUT/iotdps-register/?$rid=7', body, 1, 3));
    const p = await m.next('publish');
    assert.match(p.topic, /^\$dps\/registrations\/res\/400\/\?\$rid=7/, body);
    assert.equal(Math.floor(JSON.parse(p.payload).errorCode / 1000), 400, body);
    m.end();
  }
  for (const body of ['', ' ', '{}', '{"payload":null}', '{"registrationId":"HEALTHY"}', '{"payload":"text"}']) {
    const m = await open();
    m.send(publishPacket('$dps/registrations/PUT/iotdps-register/?$rid=8', body, 0));
    assert.match((await m.next('publish')).topic, /res\/202\/\?\$rid=8&retry-after=1$/, body);
    m.end();
  }
  for (const topic of ['$dps/registrations/PUT/other/?$rid=1', '$dps/registrations/GET/iotdps-get-operationstatus', 'devices/healthy/messages/events/', '$dps/x']) {
    const m = await open();
    m.send(publishPacket(topic, '', 1, 4));
    await Promise.race([m.closed, m.next('publish').then((p) => assert.match(p.topic, /res\/4\d\d\//, topic))]);
    m.destroy();
  }
  const m = await b.mqtt(d);
  await m.connect({ clientId: 'healthy', username: `${b.dev.idScope}/registrations/healthy/api-version=2019-03-31` });
  assert.equal(await m.subscribe('somewhere/else'), 0x80);
  m.end();
});

test('a body beyond the limit is refused, not read for ever', async () => {
  const r = await b.request('PUT', `/${b.dev.idScope}/registrations/healthy/register?api-version=2019-03-31`, { device: d, body: { payload: 'x'.repeat(200000) } });
  assert.equal(r.status, 413);
  const raw = await secure(b.httpsPort);
  raw.write('PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n');
  let text = '';
  raw.on('data', (t) => { text += t; });
  await untilClosed(raw, 5000);
  assert.match(text, /^HTTP\/1\.1 413 /);
});

test('malformed HTTP', async () => {
  const cases = [
    ['nonsense\r\n\r\n', /^HTTP\/1\.1 400 /], ['GET / HTTP/2.0\r\n\r\n', /^HTTP\/1\.1 (400|505) /],
    ['GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', /^HTTP\/1\.1 400 /],
    [`GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(100)}\r\n`, /^HTTP\/1\.1 431 /], [`GET /${'a'.repeat(40000)} HTTP/1.1\r\n\r\n`, /^HTTP\/1\.1 4(31|14|00) /],
    ['GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n', /^HTTP\/1\.1 (400|501) /],
  ];
  for (const [bytes, wanted] of cases) {
    const raw = await secure(b.httpsPort);
    let text = '';
    raw.on('data', (t) => { text += t; });
    raw.write(bytes);
    await untilClosed(raw, 5000);
    assert.match(text, wanted, bytes.slice(0, 60));
    assert.match(text.split('\r\n')[0], /^HTTP\/1\.1 \d{3} [A-Z]/); // a reason phrase
  }
});

test('a chain longer than the limit, and an oversize certificate', async () => {
  let issuer = devCa(b);
  let chain = '';
  for (let i = 0; i < 10; i++) {
    issuer = await pki.make(`link ${i}`, { ca: true, issuer });
    chain = issuer.cert + chain;
  }
  const leaf = await pki.make('end-of-chain', { issuer });
  const outcome = await b.mqtt({ chain: leaf.cert + chain, key: leaf.key }).then(async (m) => provision(m, { idScope: b.dev.idScope, registrationId: leaf.cn }), () => ({ status: 'tls' }));
  assert.ok(outcome.status === 401 || outcome.status === 'tls', JSON.stringify(outcome));
});
