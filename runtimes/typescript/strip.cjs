// SPDX-License-Identifier: Apache-2.0
//
// TypeScript for JavaScript's runner: types are blanked out, so that everything stays where it was; cells with enums,
// namespaces and other things that make code are written anew, with a source map. Files of the program's own are bundled
// when a cell imports them.
'use strict';

const { execFileSync } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const Module = require('module');
const os = require('os');
const path = require('path');
const { pathToFileURL } = require('url');
const { find } = require('../javascript/runner-rewrite.cjs');

const EXTENSIONS = ['.ts', '.tsx', '.mts', '.cts'];
const ESBUILD = ['/usr/local/bin/esbuild', '/usr/bin/esbuild', `/usr/local/lib/node_modules/@esbuild/linux-${process.arch}/bin/esbuild`];

let transformer = null;

function warm() {
  if (transformer === null) {
    transformer = find('amaro').transformSync;
    transformer('const warm: number = 1', { mode: 'strip-only' });
  }
  return transformer;
}

// What the transformer reports, as Node shows it.
function syntaxError({ message, startLine, startColumn }, code, name) {
  const error = new SyntaxError(message);
  const line = code.split(/\r\n|[\n\r\u2028\u2029]/)[startLine - 1];
  const place = line === undefined ? '' : `${name}:${startLine}\n${line}\n${line.slice(0, startColumn).replace(/[^\t]/g, ' ')}^\n\n`;
  error.stack = `${place}SyntaxError: ${message}`;
  return error;
}

// A cell as JavaScript; maps gets the source map of one whose lines moved.
function strip(code, name, maps) {
  const transform = warm();
  try {
    return transform(code, { mode: 'strip-only' }).code;
  } catch (report) {
    if (report.code !== 'UnsupportedSyntax') throw syntaxError(report, code, name);
  }
  try {
    const { code: text, map } = transform(code, { mode: 'transform', sourceMap: true, filename: name });
    maps.set(name, new Module.SourceMap(JSON.parse(map)));
    return text;
  } catch (report) {
    throw syntaxError(report, code, name);
  }
}

// ---- files ----

function bundle(file, ...options) {
  const program = ESBUILD.find((one) => fs.existsSync(one));
  if (program === undefined) throw new Error(`esbuild is not installed, and ${file} cannot be loaded without it`);
  try {
    return execFileSync(program, [file, '--bundle', '--platform=node', '--target=node18', '--color=false', '--log-level=error', ...options], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
  } catch (error) {
    throw error.stderr ? new SyntaxError(error.stderr.trim()) : error;
  }
}

function fileOf(specifier, directory) {
  if (!/^\.{0,2}\/|^file:/.test(specifier)) return null;
  const file = specifier.startsWith('file:') ? new URL(specifier).pathname : path.resolve(directory, specifier);
  if (fs.existsSync(file) && fs.statSync(file).isFile()) return EXTENSIONS.includes(path.extname(file)) ? file : null;
  const bare = /\.[mc]?js$/.test(file) ? file.replace(/\.([mc]?)js$/, '.$1ts') : null; // as TypeScript has it: ./x.js is x.ts
  return [bare, ...EXTENSIONS.map((extension) => file + extension), ...EXTENSIONS.map((extension) => path.join(file, `index${extension}`))]
    .find((one) => one !== null && fs.existsSync(one)) || null;
}

let folder = null;

// What import() is to be asked for: a file in TypeScript becomes a module, a new one when it has changed. Named imports may be types.
function resolve(specifier, directory) {
  const file = fileOf(specifier, directory);
  if (file === null) return specifier.startsWith('/') ? pathToFileURL(specifier).href : specifier;
  const require = `import{createRequire as $1}from"module";var require=$1(${JSON.stringify(pathToFileURL(file).href)});`;
  const text = bundle(file, '--format=esm', `--banner:js=${require}`, '--sourcemap=inline', '--sources-content=false', `--define:import.meta.url=${JSON.stringify(pathToFileURL(file).href)}`);
  folder = folder || fs.mkdtempSync(path.join(os.tmpdir(), 'typescript-'));
  const module = path.join(folder, `${crypto.createHash('sha256').update(file).update(text).digest('hex').slice(0, 24)}.mjs`);
  if (!fs.existsSync(module)) fs.writeFileSync(module, text);
  return pathToFileURL(module).href;
}

for (const extension of EXTENSIONS) {
  Module._extensions[extension] = (module, file) => module._compile(bundle(file, '--format=cjs', '--packages=external'), file);
}

module.exports = { language: 'typescript', extension: 'ts', hasTypes: true, strip, resolve, warm };
