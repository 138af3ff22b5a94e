'use strict';

// Before the process is dumped, and after it was restored from the dump: once each, or the second many times.
// Loaded before the dump, so that a restore finds all of it in memory.

const hooks = require('./snapshot-restore.js');
const native = require('./native.node');

// What crypto keeps in stock and hands out later: random bytes for 128 uuids, and for 1,024 integers.
const UUIDS_IN_STOCK = 128;
const INTEGERS_IN_STOCK = 1024;

const REHEARSALS = 5;

const state = new Uint32Array(4);

// xoshiro128**, by Blackman and Vigna; 53 bits of two outputs make a number, as V8's own does from one of 64.
function next() {
  const product = Math.imul(state[1], 5);
  const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
  const t = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= t;
  state[3] = (state[3] << 11) | (state[3] >>> 21);
  return result;
}

function random() {
  return ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992;
}

// New random state wherever the process keeps one; all restored from one dump would go on alike.
//
// V8 lets nobody set the state of Math.random, so a function of ours takes its place, before the dump; a reference to
// the old one that the function has kept from its init stays what it was. OpenSSL's generator (crypto, webcrypto, TLS)
// is reseeded by a few lines of C: Node has no call for it.
function reseed() {
  native.reseed(state);
  if (isLoaded('internal/crypto/random')) emptyStocks(require('crypto'));
}

// Node's own list of what it has loaded of itself. What `crypto` would take in memory, a function without it is spared.
function isLoaded(name) {
  return process.moduleLoadList?.includes(`NativeModule ${name}`) ?? true;
}

function emptyStocks(crypto) {
  for (let i = 0; i < UUIDS_IN_STOCK; i++) crypto.randomUUID();
  for (let i = 0; i < INTEGERS_IN_STOCK; i++) crypto.randomInt(2);
}

async function run(list) {
  for (const hook of list) await hook();
}

// The function's hooks; then what makes the dump smaller, and the time after a restore shorter: all that comes then is done once
// before, for code that has run is faster code. `rehearse` walks the path of an invocation.
async function prepare(rehearse) {
  await run(hooks.beforeSnapshot);
  Object.defineProperty(Math, 'random', { value: random, writable: true, configurable: true });
  native.shrink();
  for (let i = 0; i < REHEARSALS; i++) {
    renew({});
    random();
    await rehearse();
  }
}

function renew(env) {
  for (const [name, value] of Object.entries(env)) {
    if (value === null) delete process.env[name];
    else process.env[name] = value;
  }
  reseed();
}

// Makes this instance one of its own.
async function resume(head) {
  renew(head.env);
  if (hooks.afterRestore.length > 0) await run(hooks.afterRestore);
}

module.exports = { prepare, resume };
