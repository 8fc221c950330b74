// tests/lib/localhost.cjs: names under "localhost" lead to this machine (RFC 6761, section 6.3), which not every system's resolver
// knows. For node --require, so that SDKs find hubs that are told apart by name.
'use strict';
const dns = require('dns');

const { lookup } = dns;
dns.lookup = (name, options, callback) => {
  const isLocal = typeof name === 'string' && /(^|\.)localhost$/i.test(name);
  return lookup.call(dns, isLocal ? '127.0.0.1' : name, options, callback);
};
