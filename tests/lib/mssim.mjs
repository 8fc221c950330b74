// tests/lib/mssim.mjs: speaks the protocol of Microsoft's TPM simulator (commands on a port, platform signals on the next one) in front
// of an swtpm, which takes bare TPM commands. Libraries that know only the simulator, as tss.js, run on swtpm through it.
import net from 'node:net';

const SEND_COMMAND = 8, HANDSHAKE = 15, SESSION_END = 20, STOP = 21;
const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; };

// Calls take(bytes) with all that has arrived, which gives how many bytes it has used up; 0: wait for more.
function consume(socket, take) {
  let pending = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    pending = Buffer.concat([pending, data]);
    for (let n = take(pending); n > 0; n = take(pending)) pending = pending.subarray(n);
  });
}

function serveCommands(client, tpmPort) {
  const tpm = net.connect(tpmPort, '127.0.0.1');
  consume(tpm, (bytes) => { // tag, size of all, code …
    if (bytes.length < 6 || bytes.length < bytes.readUInt32BE(2)) return 0;
    const size = bytes.readUInt32BE(2);
    client.write(Buffer.concat([u32(size), bytes.subarray(0, size), u32(0)]));
    return size;
  });
  client.on('close', () => tpm.destroy());
  tpm.on('close', () => client.destroy());
  consume(client, (bytes) => {
    if (bytes.length < 4) return 0;
    const signal = bytes.readUInt32BE(0);
    if (signal === SESSION_END || signal === STOP) { client.end(); return 4; }
    if (signal === HANDSHAKE) { // client's version; ours, properties, acknowledgement
      if (bytes.length < 8) return 0;
      client.write(Buffer.concat([u32(1), u32(0), u32(0)]));
      return 8;
    }
    if (signal !== SEND_COMMAND) { client.destroy(); return 0; }
    if (bytes.length < 9 || bytes.length < 9 + bytes.readUInt32BE(5)) return 0; // locality, size, command
    const size = bytes.readUInt32BE(5);
    tpm.write(bytes.subarray(9, 9 + size));
    return 9 + size;
  });
}

// Power, NV and their like: swtpm is always on.
function servePlatform(client) {
  consume(client, (bytes) => {
    if (bytes.length < 4) return 0;
    if (bytes.readUInt32BE(0) === SESSION_END) client.end();
    else client.write(u32(0));
    return 4;
  });
}

const listen = (server, port) => new Promise((resolve, reject) => {
  server.once('error', reject).listen(port, '127.0.0.1', () => resolve(server.address().port));
});

export class Mssim {
  // tpm: an Swtpm. this.port: for commands.
  static async start(tpm) {
    for (let tries = 0; ; tries++) {
      const m = new Mssim();
      m.servers = [net.createServer((c) => serveCommands(c, tpm.port)), net.createServer(servePlatform)];
      try {
        m.port = await listen(m.servers[0], 0);
        await listen(m.servers[1], m.port + 1);
        return m;
      } catch (e) {
        m.stop();
        if (tries === 20) throw e;
      }
    }
  }

  stop() { for (const server of this.servers) server.close(); }
}
