'use strict';

// Error objects: what a client gets for a failed invocation, and the log record about it.

const { types } = require('util');
const { write } = require('./logs.js');

// The name is the prototype's, so that it is no own property, which the log record would show twice.
function faultClass(name) {
  const Fault = class extends Error {};
  Fault.prototype.name = `Runtime.${name}`;
  return Fault;
}

const HandlerNotFound = faultClass('HandlerNotFound');
const ImportModuleError = faultClass('ImportModuleError');
const MalformedHandlerName = faultClass('MalformedHandlerName');
const UserCodeSyntaxError = faultClass('UserCodeSyntaxError');

class UnhandledPromiseRejection extends faultClass('UnhandledPromiseRejection') {
  constructor(reason, promise) {
    super(String(reason));
    this.reason = reason;
    this.promise = promise;
  }
}

// Errors of another realm (the vm module) are no `instanceof Error`; errors of old style classes only that.
function isError(value) {
  return types.isNativeError(value) || value instanceof Error;
}

const UNREADABLE =
  'callback called with Error argument, but there was a problem while retrieving one or more of its ' +
  'message, name, and stack';

// The error object for whatever has been thrown.
function describe(error) {
  try {
    if (!isError(error)) return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
    return { errorType: error.name, errorMessage: error.message, trace: error.stack.split('\n') };
  } catch {
    return { errorType: 'handled', errorMessage: UNREADABLE };
  }
}

function toError(thrown) {
  if (isError(thrown)) return thrown;
  const error = new Error(describe(thrown).errorMessage);
  // Where this file has made it is of no interest.
  error.stack = `Error: ${error.message}`;
  return error;
}

// For JSON.stringify: an error with its own properties and those that JSON would leave out.
function withDetails(key, value) {
  if (!isError(value)) return value;
  const { name: errorType, message: errorMessage, code } = value;
  return { errorType, errorMessage, code, ...value, stack: value.stack?.split('\n') };
}

function log(title, thrown) {
  let details;
  try {
    details = JSON.stringify(toError(thrown), withDetails);
  } catch {
    details = JSON.stringify(describe(thrown));
  }
  write('ERROR', `${title} \t${details}`);
}

module.exports = {
  HandlerNotFound,
  ImportModuleError,
  MalformedHandlerName,
  UserCodeSyntaxError,
  UnhandledPromiseRejection,
  describe,
  log,
};
