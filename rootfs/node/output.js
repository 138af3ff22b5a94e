'use strict';

// Writes that are done when they return: an invocation's output must be in the pipe before its response is sent.

const fs = require('fs');

const WAIT_MS = 0.05;
const waiting = new Int32Array(new SharedArrayBuffer(4));

// While output is discarded: the descriptor of /dev/null.
let nowhere = null;

function writeAll(fd, bytes) {
  while (bytes.length > 0) {
    bytes = bytes.subarray(writeSome(fd, bytes));
  }
}

function writeSome(fd, bytes) {
  try {
    return fs.writeSync(nowhere ?? fd, bytes, 0, bytes.length);
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
    // libuv has made the descriptor non-blocking, and the reader is behind.
    Atomics.wait(waiting, 0, 0, WAIT_MS);
    return 0;
  }
}

// Runs a step whose output goes nowhere.
async function discard(step) {
  nowhere = fs.openSync('/dev/null', 'w');
  try {
    await step();
  } finally {
    fs.closeSync(nowhere);
    nowhere = null;
  }
}

// process.stdout and process.stderr are made when first used, and Node writes to a pipe in the background.
function blockStandardStreams() {
  for (const name of ['stdout', 'stderr']) {
    const property = Object.getOwnPropertyDescriptor(process, name);
    const make = property.get;
    property.get = function get() {
      const stream = make.call(process);
      stream._handle?.setBlocking?.(true);
      Object.defineProperty(process, name, { ...property, get: make });
      return stream;
    };
    Object.defineProperty(process, name, property);
  }
}

module.exports = { writeAll, discard, blockStandardStreams };
