'use strict';

// The console of AWS's runtime: each call is one line `time <tab> request id <tab> level <tab> message`, in which
// line ends are \r.

const { format } = require('util');
const { writeAll } = require('./output.js');

const LEVELS = { log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR', debug: 'DEBUG', trace: 'TRACE' };
const STDOUT = 1;

// Before the first invocation AWS's runtime really writes "undefined".
let requestId;

function setRequestId(id) {
  requestId = id;
}

function write(level, message) {
  const text = message.replace(/\n/g, '\r');
  writeAll(STDOUT, Buffer.from(`${new Date().toISOString()}\t${requestId}\t${level}\t${text}\n`));
}

function install() {
  for (const [method, level] of Object.entries(LEVELS)) {
    console[method] = (message, ...rest) => write(level, format(message, ...rest));
  }
}

module.exports = { install, setRequestId, write };
