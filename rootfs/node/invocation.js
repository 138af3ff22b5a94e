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
  // A restored process has another one than it was started with.
  get logStreamName() {
    return env.AWS_LAMBDA_LOG_STREAM_NAME;
  },
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

// Answered: the function has given its result. Closed: the reply has been sent. A result given to the callback is
// sent only when the event loop is empty.
class Invocation {
  #isAnswered = false;
  #isClosed = false;
  #result = null;
  #context;
  #head;

  constructor(head) {
    this.id = head.id;
    this.#head = head;
  }

  isOpen() {
    return !this.#isClosed;
  }

  run(handler, body) {
    try {
      const context = this.#makeContext(this.#head);
      const { succeed, fail } = context;
      this.#context = context;
      const result = handler(JSON.parse(body), context, (error, value) => this.#callback(error, value));
      if (typeof result?.then === 'function') result.then(succeed, fail);
    } catch (error) {
      this.#fail(error);
    }
  }

  // Nothing the function started is left to change the result.
  onEmptyLoop() {
    if (!this.#isClosed) this.#sendResult(this.#result);
  }

  #makeContext(head) {
    return {
      callbackWaitsForEmptyEventLoop: true,
      succeed: (result) => this.#done(null, result),
      fail: (error) => this.#fail(error),
      done: (error, result) => this.#done(error, result),
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
    const hasFailed = error !== null && error !== undefined;
    if (hasFailed || !this.#context.callbackWaitsForEmptyEventLoop) this.#done(error, result);
    else this.#answer(() => (this.#result = result));
  }

  #done(error, result) {
    if (error !== null && error !== undefined) this.#fail(error);
    else this.#answer(() => this.#sendResult(result));
  }

  #fail(error) {
    this.#answer(() => this.#sendError(error ?? 'handled'));
  }

  #answer(act) {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    act();
  }

  #sendResult(result) {
    let body;
    try {
      body = serialise(result);
    } catch (error) {
      this.#sendError(error);
      return;
    }
    this.#isClosed = true;
    channel.sendResponse(this.id, body);
  }

  #sendError(error) {
    this.#isClosed = true;
    errors.log('Invoke Error', error);
    channel.sendError(this.id, errors.describe(error));
  }
}

module.exports = { Invocation };
