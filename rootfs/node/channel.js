'use strict';

// The runtime's end of the channel: frames over a stream socket, as sandbox/base/channel.h has them.
// The socket keeps the event loop alive only between invocations: see onEmptyLoop in invocation.js.

const net = require('net');
const { writeAll } = require('./output.js');

const READY = 1;
const RESPONSE = 2;
const ERROR = 3;
const INIT_ERROR = 4;
const INVOKE = 16;
const SNAPSHOT = 17;

const HEADER_BYTES = 12;
const READ_BYTES = 65536;

let fd;
let socket;
let onInvoke;
let onChange;

// What has arrived of the next frame: `filled` bytes of `frame`, which has the frame's size once the header is in.
let frame = Buffer.allocUnsafe(HEADER_BYTES);
let filled = 0;

function open(descriptor) {
  fd = descriptor;
  const onread = { buffer: Buffer.allocUnsafe(READ_BYTES), callback: onData };
  socket = new net.Socket({ fd, onread });
  socket.on('end', leave);
  socket.on('error', leave);
  socket.unref();
}

// The manager has gone or has no more work.
function leave() {
  process.exit(0);
}

// Says that init is done. From now on calls invoke(head, body) for each invocation, and change(isSnapshot, head) when the
// process is about to be dumped or has been restored; sendReady answers that.
function listen(invoke, change) {
  onInvoke = invoke;
  onChange = change;
  sendReady();
}

function sendReady() {
  finish(READY, {}, '');
}

function sendResponse(id, body) {
  finish(RESPONSE, { id }, body);
}

// `last`: the process ends now, so no invocation must come any more.
function sendError(id, error, last = false) {
  finish(ERROR, { id, type: String(error.errorType), last }, JSON.stringify(error));
}

function sendInitError(error) {
  send(INIT_ERROR, { type: String(error.errorType) }, JSON.stringify(error));
}

function finish(kind, head, body) {
  send(kind, head, body);
  socket.ref();
}

function send(kind, head, body) {
  try {
    writeAll(fd, pack(kind, head, body));
  } catch {
    leave();
  }
}

function pack(kind, head, body) {
  const headText = JSON.stringify(head);
  const bodyStart = HEADER_BYTES + Buffer.byteLength(headText);
  const out = Buffer.allocUnsafe(bodyStart + Buffer.byteLength(body));
  out.writeUInt32LE(kind, 0);
  out.writeUInt32LE(bodyStart - HEADER_BYTES, 4);
  out.writeUInt32LE(out.length - bodyStart, 8);
  out.utf8Write(headText, HEADER_BYTES);
  out.utf8Write(body, bodyStart);
  return out;
}

// Takes an invocation that no manager has sent.
function rehearse(head, body) {
  const whole = pack(INVOKE, head, body);
  onData(whole.length, whole);
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
    if (filled === frame.length) takeGathered();
  }
}

function growFrame() {
  const whole = Buffer.allocUnsafe(frameBytes(frame));
  frame.copy(whole);
  frame = whole;
}

function takeGathered() {
  const whole = frame;
  frame = Buffer.allocUnsafe(HEADER_BYTES);
  filled = 0;
  take(whole);
}

function take(whole) {
  const bodyStart = HEADER_BYTES + whole.readUInt32LE(4);
  const head = JSON.parse(whole.utf8Slice(HEADER_BYTES, bodyStart));
  const body = whole.utf8Slice(bodyStart, whole.length);
  const kind = whole.readUInt32LE(0);
  if (kind !== INVOKE) {
    onChange(kind === SNAPSHOT, head);
    return;
  }
  socket.unref();
  onInvoke(head, body);
}

module.exports = { open, listen, rehearse, sendReady, sendResponse, sendError, sendInitError };
