'use strict';

// fnrun's runtime for Node.js functions: loads the handler, then answers invocations until the channel closes.
// CommonJS, because Node starts it without the machinery for ES modules; that is loaded for functions that use it.

const channel = require('./channel.js');
const logs = require('./logs.js');
const errors = require('./errors.js');
const { load } = require('./handler.js');
const { Invocation } = require('./invocation.js');
const { blockStandardStreams, discard } = require('./output.js');

// Exit statuses of AWS's runtime.
const EXIT_INIT_FAILED = 1;
const EXIT_UNHANDLED_REJECTION = 128;
const EXIT_UNCAUGHT_EXCEPTION = 129;

let initialised = false;
let handler;
let invocation = null;

function fail(title, error, status) {
  errors.log(title, error);
  if (!initialised) {
    channel.sendInitError(errors.describe(error));
    status = EXIT_INIT_FAILED;
  } else if (invocation?.isOpen()) {
    channel.sendError(invocation.id, errors.describe(error), true);
  }
  process.exit(status);
}

function watchErrors() {
  process.on('uncaughtException', (error) => {
    fail('Uncaught Exception', error, EXIT_UNCAUGHT_EXCEPTION);
  });
  process.on('unhandledRejection', (reason, promise) => {
    const error = new errors.UnhandledPromiseRejection(reason, promise);
    fail('Unhandled Promise Rejection', error, EXIT_UNHANDLED_REJECTION);
  });
  // While an invocation runs, the channel does not keep the event loop alive: an empty loop means that nothing
  // the function has started is left.
  process.on('beforeExit', () => invocation?.onEmptyLoop());
}

function setTrace(trace) {
  if (trace) process.env._X_AMZN_TRACE_ID = trace;
  else delete process.env._X_AMZN_TRACE_ID;
}

function invoke(head, body) {
  logs.setRequestId(head.id);
  setTrace(head.trace);
  invocation = new Invocation(head);
  invocation.run(handler, body);
}

// Answers an event that nobody has sent, without the function and with all output going nowhere. Nothing of the function's runs
// meanwhile, for no step waits for the event loop.
async function rehearse() {
  const real = handler;
  handler = async (event, context) => {
    logs.write('INFO', `${event.name}, ${context.getRemainingTimeInMillis()} ms left`);
    return { hello: event.name, list: [1, 'b', null, true] };
  };
  channel.rehearse({ id: '', deadline_ms: Date.now(), arn: '', trace: '' }, '{"name": "rehearsal", "list": [1, null]}');
  while (invocation.isOpen()) await null;
  handler = real;
  invocation = null;
  logs.setRequestId(undefined);
}

// The process is about to be dumped, or has just been restored.
async function change(isSnapshot, head) {
  initialised = false;
  try {
    const snapshot = require('./snapshot.js');
    if (isSnapshot) await snapshot.prepare(() => discard(rehearse));
    else await snapshot.resume(head);
  } catch (error) {
    fail('Uncaught Exception', error, EXIT_INIT_FAILED);
  }
  initialised = true;
  channel.sendReady();
}

async function main() {
  channel.open(Number(process.env._FNRUN_CHANNEL_FD));
  delete process.env._FNRUN_CHANNEL_FD;
  logs.install();
  blockStandardStreams();
  watchErrors();
  try {
    handler = await load(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
  } catch (error) {
    fail('Uncaught Exception', error, EXIT_INIT_FAILED);
  }
  initialised = true;
  channel.listen(invoke, change);
}

main();
