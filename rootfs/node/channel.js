'use strict';

// The runtime's end of the channel: frames over a stream socket, as sandbox/base/channel.h has them.

const net = require('net');
const { writeAll } = require('./output.js');

const READY = 1;
const RESPONSE = 2;
const ERROR = 3;
const INIT_ERROR = 4;

const HEADER_BYTES = 12;
const READ_BYTES = 65536;
const EMPTY = Buffer.alloc(0);

let fd;
let socket;
let onInvoke;

// What has arrived of the next frame: `filled` bytes of `frame`, which is of the frame's size once the header is in.
let frame = Buffer.allocUnsafe(HEADER_BYTES);
let filled = 0;

function open(descriptor) {
  fd = descriptor;
  const onread = { buffer: Buffer.allocUnsafe(READ_BYTES), callback: onData };
  socket = new net.Socket({ fd, onread });
  // Without a manager there is nothing to do. An `error` is a peer that has gone too.
  socket.on('end', () => process.exit(0));
  socket.on('error', () => process.exit(0));
  socket.unref();
}

// Calls callback(head, body) for each invocation.
function listen(callback) {
  onInvoke = callback;
  socket.ref();
  socket.read(0);
}

function frameBytes(header) {
  return HEADER_BYTES + header.readUInt32LE(4) + header.readUInt32LE(8);
}

function onData(count, buffer) {
  const chunk = buffer.subarray(0, count);
  // The usual frame comes in one piece.
  if (filled === 0 && count >= HEADER_BYTES && frameBytes(chunk) === count) take(chunk);
  else gather(chunk);
  return true;
}

function gather(chunk) {
  while (chunk.length > 0) {
    const copied = chunk.copy(frame, filled);
    chunk = chunk.subarray(copied);
    filled += copied;
    if (filled === HEADER_BYTES) growFrame();
    if (filled === frame.length) finishFrame();
  }
}

function growFrame() {
  const whole = Buffer.allocUnsafe(frameBytes(frame));
  frame.copy(whole);
  frame = whole;
}

function finishFrame() {
  const whole = frame;
  frame = Buffer.allocUnsafe(HEADER_BYTES);
  filled = 0;
  take(whole);
}

function take(whole) {
  const bodyStart = HEADER_BYTES + whole.readUInt32LE(4);
  const head = JSON.parse(whole.utf8Slice(HEADER_BYTES, bodyStart));
  socket.unref();
  onInvoke(head, whole.utf8Slice(bodyStart, whole.length));
}

function send(kind, head, body) {
  const headText = JSON.stringify(head);
  const headBytes = Buffer.byteLength(headText);
  const bodyBytes = Buffer.byteLength(body);
  const out = Buffer.allocUnsafe(HEADER_BYTES + headBytes + bodyBytes);
  out.writeUInt32LE(kind, 0);
  out.writeUInt32LE(headBytes, 4);
  out.writeUInt32LE(bodyBytes, 8);
  out.utf8Write(headText, HEADER_BYTES);
  out.utf8Write(body, HEADER_BYTES + headBytes);
  writeAll(fd, out);
}
