// tests/interop/device.cjs: one device on the official Azure Node SDKs, unmodified, as an application would use them. Trusts the server
// through NODE_EXTRA_CA_CERTS. Reads one JSON line on standard input, prints one JSON line: {registration, sent, twin} or {error}.
'use strict';
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { TpmSecurityClient, TpmAuthenticationProvider } = require('azure-iot-security-tpm');
const { Tpm } = require('tss.js');

const provisioningTransport = (name) =>
  name === 'http'
    ? new (require('azure-iot-provisioning-device-http').Http)()
    : new (require('azure-iot-provisioning-device-mqtt').Mqtt)();

async function main(order) {
  const certificate = { cert: order.cert, key: order.key };
  const security = order.tpmPort ? new TpmSecurityClient(order.registrationId, new Tpm(true, '127.0.0.1', order.tpmPort))
    : order.symmetricKey ? new SymmetricKeySecurityClient(order.registrationId, order.symmetricKey)
      : new X509Security(order.registrationId, certificate);
  const client = ProvisioningDeviceClient.create('localhost', order.idScope, provisioningTransport(order.transport), security);
  if (order.payload !== undefined) client.setProvisioningPayload(order.payload);
  const answer = await client.register();
  const registration = answer.registrationState ?? answer; // with a TPM the SDK hands out the whole answer
  const result = { registration, sent: 0 };
  if (order.messages) {
    const proof = order.symmetricKey ? `SharedAccessKey=${order.symmetricKey}` : 'x509=true';
    const device = order.tpmPort
      ? Client.fromAuthenticationProvider(TpmAuthenticationProvider.fromTpmSecurityClient(registration.deviceId, registration.assignedHub, security), Mqtt)
      : Client.fromConnectionString(`HostName=${registration.assignedHub};DeviceId=${registration.deviceId};${proof}`, Mqtt);
    device.on('error', (e) => { result.deviceError = String(e); });
    if (order.cert) await device.setOptions(certificate);
    await device.open();
    if (order.report) {
      const twin = await device.getTwin();
      result.twin = JSON.parse(JSON.stringify({ desired: twin.properties.desired, reported: twin.properties.reported }));
      await new Promise((resolve, reject) => { twin.properties.reported.update(order.report, (e) => (e ? reject(e) : resolve())); });
    }
    for (const text of order.messages) {
      const message = new Message(text);
      message.messageId = `id-${result.sent}`;
      message.contentType = 'application/json';
      message.contentEncoding = 'utf-8';
      message.properties.add('room', 'kitchen & hall');
      await device.sendEvent(message);
      result.sent++;
    }
    await device.close();
  }
  return result;
}

let input = '';
process.stdin.on('data', (d) => { input += d; });
process.stdin.on('end', () => {
  main(JSON.parse(input)).then(
    (result) => { console.log(JSON.stringify(result)); process.exit(0); },
    (e) => {
      console.log(JSON.stringify({ error: { name: e.name, message: e.message, result: e.result, body: e.responseBody ?? e.response?.body, text: String(e) } }));
      process.exit(0);
    });
});
