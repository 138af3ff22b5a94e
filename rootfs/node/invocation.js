'use strict';

// One invocation: the handler is called, and the first of its many ways to give a result decides.

const channel = require('./channel.js');
const errors = require('./errors.js');

const { env } = process;
const FUNCTION = {
  functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
  functionName: env.AWS_LAMBDA_FUNCTION_NAME,
  memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
  logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
  logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
};

function parseIfSet(text) {
  return text ? JSON.parse(text) : undefined;
}

// The body of a response; `undefined` has no JSON form and stands for null.
function serialise(result) {
  let body;
  try {
    body = JSON.stringify(result === undefined ? null : result);
  } catch {
    // A circle or a BigInt.
  }
  if (body === undefined) throw new Error('Unable to stringify response body');
  return body;
}

class Invocation {
  #open = true;
  #hasCalledBack = false;
  #result = null;
  #context;
  #head;

  constructor(head) {
    this.id = head.id;
    this.#head = head;
  }

  isOpen() {
    return this.#open;
  }

  run(handler, body) {
    try {
      const context = this.#makeContext(this.#head);
      this.#context = context;
      const result = handler(JSON.parse(body), context, (error, value) => this.#callback(error, value));
      if (typeof result?.then === 'function') result.then(context.succeed, context.fail);
    } catch (error) {
      this.#fail(error);
    }
  }

  // Nothing the function started is left: what it gave to its callback is the result, if it has called it at all.
  onEmptyLoop() {
    this.#succeed(this.#result);
  }

  #makeContext(head) {
    return {
      callbackWaitsForEmptyEventLoop: true,
      succeed: (result) => this.#succeed(result),
      fail: (error) => this.#fail(error),
      done: (error, result) => this.#settle(error, result),
      ...FUNCTION,
      clientContext: parseIfSet(head.client_context),
      identity: parseIfSet(head.identity),
      invokedFunctionArn: head.arn,
      awsRequestId: head.id,
      tenantId: undefined,
      getRemainingTimeInMillis: () => head.deadline_ms - Date.now(),
    };
  }

  #callback(error, result) {
    if (this.#hasCalledBack) return;
    this.#hasCalledBack = true;
    const failed = error !== null && error !== undefined;
    if (failed || !this.#context.callbackWaitsForEmptyEventLoop) this.#settle(error, result);
    else this.#result = result;
  }

  #settle(error, result) {
    if (error === null || error === undefined) this.#succeed(result);
    else this.#fail(error);
  }

  #succeed(result) {
    if (!this.#open) return;
    let body;
    try {
      body = serialise(result);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#open = false;
    channel.sendResponse(this.id, body);
  }

  #fail(thrown) {
    if (!this.#open) return;
    this.#open = false;
    const error = thrown ?? 'handled';
    errors.log('Invoke Error', error);
    channel.sendError(this.id, errors.describe(error));
  }
}

module.exports = { Invocation };
