'use strict';

// Finds the function's handler.

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');
const { pathToFileURL } = require('url');
const { HandlerNotFound, ImportModuleError, MalformedHandlerName, UserCodeSyntaxError } = require('./errors.js');

// Messages about modules that cannot be found list who required them, and end with this name on AWS.
const requireForFunction = createRequire('/var/runtime/index.mjs');

function isFile(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

// Whether the nearest package.json makes .js files ES modules.
function isEsPackage(folder) {
  for (;;) {
    const text = readIfThere(path.join(folder, 'package.json'));
    if (text !== null) return packageType(text) === 'module';
    if (folder === path.dirname(folder)) return false;
    folder = path.dirname(folder);
  }
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function packageType(text) {
  try {
    return JSON.parse(text).type;
  } catch {
    // Node itself will say what is wrong with the file when it needs it.
    return undefined;
  }
}

function loadFile(file) {
  const isEs = file.endsWith('.mjs') || (file.endsWith('.js') && isEsPackage(path.dirname(file)));
  return isEs ? loadEsModule(file) : requireForFunction(file);
}

// import() reads files with libuv's threads, which then are there for ever; every thread costs time when the process is
// restored from a snapshot. require() reads them by itself, and refuses a module that awaits before it runs anything.
function loadEsModule(file) {
  try {
    return requireForFunction(file);
  } catch (error) {
    if (error?.code !== 'ERR_REQUIRE_ASYNC_MODULE' && error?.code !== 'ERR_REQUIRE_ESM') throw error;
    return import(pathToFileURL(file).href);
  }
}

function loadModule(taskRoot, folder, name) {
  const base = path.resolve(taskRoot, folder, name);
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    if (isFile(base + extension)) return loadFile(base + extension);
  }
  // A package: in node_modules of the function or on NODE_PATH.
  const paths = [taskRoot, path.join(taskRoot, folder)];
  return requireForFunction(requireForFunction.resolve(name || base, { paths }));
}

async function loadUserModule(taskRoot, folder, name) {
  try {
    return await loadModule(taskRoot, folder, name);
  } catch (error) {
    if (error instanceof SyntaxError) throw new UserCodeSyntaxError(error);
    if (error?.code === 'MODULE_NOT_FOUND') throw new ImportModuleError(error);
    throw error;
  }
}

// "folder/file.export", where export may be a path of properties: [folder, file, export].
function split(name) {
  if (name.includes('..')) {
    throw new MalformedHandlerName(
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const base = path.basename(name);
  const dot = base.indexOf('.');
  if (dot < 0) throw new MalformedHandlerName('Bad handler');
  return [name.slice(0, name.lastIndexOf(base)), base.slice(0, dot), base.slice(dot + 1)];
}

async function load(taskRoot, name) {
  const [folder, file, exportPath] = split(name);
  const module = await loadUserModule(taskRoot, folder, file);
  const handler = exportPath.split('.').reduce((value, key) => value?.[key], module);
  if (!handler) throw new HandlerNotFound(`${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new HandlerNotFound(`${name} is not a function`);
  return handler;
}

module.exports = { load };
