// SPDX-License-Identifier: Apache-2.0
//
// What is changed of a cell before V8 evaluates it. V8's REPL mode (inspector, Runtime.evaluate) knows top-level await and
// lets let, const and class be declared again; what is left to do:
//
// - import statements become calls, and import(), which scripts of the inspector's may not use, another function's call;
// - var and function make properties of the global object that could never become let or const. They are declared by an
//   indirect eval before the rest (`before`), which leaves them replaceable; where a name is let, const or class by now,
//   a function becomes `let` (`again`, evaluated next) and var an assignment.
//
// Everything stays where it was, so that lines and columns are the program's own.
'use strict';

const path = require('path');

const IMPORT = 'ɪmport'; // as long as what it stands for, and nobody's name
const PLACES = ['/usr/local/lib/node_modules', '/usr/lib/node_modules', '/usr/share/nodejs'];

function find(name) {
  for (const place of PLACES) {
    try {
      return require(path.join(place, name));
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Error(`${name} is not installed in ${PLACES.join(', ')}`);
}

const acorn = find('acorn');

const parse = (code) => acorn.parse(code, {
  ecmaVersion: 'latest',
  sourceType: 'script',
  allowAwaitOutsideFunction: true,
  allowImportExportEverywhere: true,
  allowHashBang: true,
});

const blank = (text) => text.replace(/[^\r\n\u2028\u2029]/g, ' ');

// Calls visit(node, isTopLevel) for every node; isTopLevel: outside of functions, where var is the cell's own.
function walk(root, visit) {
  const stack = [[root, true]];
  while (stack.length > 0) {
    const [node, isTopLevel] = stack.pop();
    visit(node, isTopLevel);
    const isInside = isTopLevel && !/Function|StaticBlock|PropertyDefinition/.test(node.type);
    for (const key of Object.keys(node)) {
      const value = node[key];
      if (Array.isArray(value)) {
        for (const one of value) if (one && typeof one.type === 'string') stack.push([one, isInside]);
      } else if (value && typeof value.type === 'string') {
        stack.push([value, isInside]);
      }
    }
  }
}

function namesOf(pattern, names = []) {
  switch (pattern && pattern.type) {
    case 'Identifier': names.push(pattern.name); break;
    case 'ObjectPattern': for (const one of pattern.properties) namesOf(one.value || one.argument, names); break;
    case 'ArrayPattern': for (const one of pattern.elements) namesOf(one, names); break;
    case 'AssignmentPattern': namesOf(pattern.left, names); break;
    case 'RestElement': namesOf(pattern.argument, names); break;
    default:
  }
  return names;
}

const declared = (declaration) => declaration.declarations.flatMap((one) => namesOf(one.id));

class Rewriter {
  constructor() {
    this.lexical = new Map(); // names that were let, const or class in some cell: which
  }

  // {before, again, main: texts, shows: whether the last thing is an expression, isEmpty}
  rewrite(code) {
    let tree = null;
    if (/^\s*{/.test(code) && !/;\s*$/.test(code)) {
      try { // an object, as in Node's REPL
        tree = parse(`(${code}\n)`);
        code = `(${code}\n)`;
      } catch { /* a block */ }
    }
    tree = tree || parse(code);
    const cell = { code, edits: [], before: [], again: [], names: new Set() };
    const isStrict = tree.body.some((node) => node.directive === 'use strict');
    const last = tree.body[tree.body.length - 1];
    for (const node of tree.body) this.statement(cell, node, isStrict);
    if (/\bvar\b|\bimport\b/.test(code)) walk(tree, (node, isTopLevel) => this.inside(cell, node, isTopLevel));
    if (/\bvar\b/.test(code)) this.heads(cell, tree);
    return {
      before: this.before(cell),
      again: this.again(cell),
      main: apply(code, cell.edits),
      shows: last !== undefined && (last.type === 'ExpressionStatement' || this.isDefault(last)),
      isEmpty: tree.body.length === 0,
    };
  }

  isDefault(node) {
    return node.type === 'ExportDefaultDeclaration' && !/Declaration$/.test(node.declaration.type);
  }

  statement(cell, node, isStrict) {
    switch (node.type) {
      case 'ImportDeclaration':
        cell.edits.push({ start: node.start, end: node.end, text: this.importText(cell.code, node) });
        for (const one of node.specifiers) this.lexical.set(one.local.name, 'const');
        break;
      case 'ExportNamedDeclaration':
      case 'ExportDefaultDeclaration':
        this.exported(cell, node, isStrict);
        break;
      case 'FunctionDeclaration':
        if (!isStrict) this.hoist(cell, node);
        break;
      case 'ClassDeclaration':
        this.lexical.set(node.id.name, 'let');
        break;
      case 'VariableDeclaration':
        if (node.kind !== 'var') for (const name of declared(node)) this.lexical.set(name, node.kind);
        break;
      default:
    }
  }

  // What a cell exports, nobody imports: it is declared.
  exported(cell, node, isStrict) {
    const inner = node.declaration;
    if (!inner && node.source) return;
    const end = inner ? inner.start : node.end;
    cell.edits.push({ start: node.start, end, text: `;${blank(cell.code.slice(node.start + 1, end))}` });
    if (inner && /Declaration$/.test(inner.type) && (inner.id || inner.declarations)) this.statement(cell, inner, isStrict);
  }

  hoist(cell, node) {
    (this.lexical.has(node.id.name) ? cell.again : cell.before).push(node);
    cell.edits.push({ start: node.start, end: node.end, text: `;${blank(cell.code.slice(node.start + 1, node.end))}` });
  }

  inside(cell, node, isTopLevel) {
    if (node.type === 'ImportExpression') {
      cell.edits.push({ start: node.start, end: node.start + IMPORT.length, text: IMPORT });
    } else if (node.type === 'MetaProperty' && node.meta.name === 'import') {
      cell.edits.push({ start: node.meta.start, end: node.meta.end, text: IMPORT });
    } else if (isTopLevel && node.type === 'VariableDeclaration' && node.kind === 'var') {
      for (const name of declared(node)) {
        if (!this.lexical.has(name)) {
          cell.names.add(name);
        } else if (this.lexical.get(name) === 'const') {
          cell.again.push(name);
          this.lexical.set(name, 'let');
        }
      }
    }
  }

  // var of names that are let by now: `{x = 1}`, or without the braces in the head of a loop.
  heads(cell, tree) {
    const loops = new Set();
    walk(tree, (node, isTopLevel) => {
      if (/^For/.test(node.type)) loops.add(node.init || node.left);
      if (!isTopLevel || node.type !== 'VariableDeclaration' || node.kind !== 'var' || !declared(node).some((name) => this.lexical.has(name))) return;
      const isLoop = loops.has(node);
      cell.edits.push({ start: node.start, end: node.start + 3, text: isLoop ? '   ' : '{  ' });
      for (const one of node.declarations) {
        if (one.id.type !== 'ObjectPattern' || !one.init) continue;
        cell.edits.push({ start: one.start, end: one.start, text: '(' }, { start: one.end, end: one.end, text: ')' });
      }
      if (!isLoop) cell.edits.push({ start: node.end, end: node.end, text: '}' });
    });
  }

  before({ code, before, names }) {
    let text = '';
    let at = 0;
    for (const node of before) {
      text += blank(code.slice(at, node.start)) + code.slice(node.start, node.end);
      at = node.end;
    }
    text = apply(text, importEdits(text));
    return names.size > 0 ? `${text}\nvar ${[...names].join()};` : text;
  }

  again({ code, again }) {
    let text = again.filter((one) => typeof one === 'string').map((name) => `let ${name};`).join('');
    let at = 0;
    for (const node of again.filter((one) => typeof one !== 'string')) {
      const { id } = node;
      const begin = `;let ${id.name}=`;
      text += blank(code.slice(at, node.start));
      if (text.endsWith(' '.repeat(begin.length))) text = text.slice(0, -begin.length);
      // Without its name: inside, the name means the variable.
      text += `${begin}${code.slice(node.start, id.start)}${blank(id.name)}${code.slice(id.end, node.end)}`;
      at = node.end;
      this.lexical.set(id.name, 'let');
    }
    return apply(text, importEdits(text));
  }

  importText(code, node) {
    const source = node.source.raw;
    const attributes = (node.attributes || []).map((one) => `${code.slice(one.key.start, one.key.end)}:${one.value.raw}`);
    const options = attributes.length > 0 ? `,{with:{${attributes.join()}}}` : '';
    const nameOf = (one) => (one.type === 'ImportDefaultSpecifier' ? 'default' : one.imported.name || one.imported.value);
    const whole = node.specifiers.find((one) => one.type === 'ImportNamespaceSpecifier');
    const named = node.specifiers.filter((one) => one !== whole);
    const pattern = `{${named.map((one) => `${JSON.stringify(nameOf(one))}:${one.local.name}`).join()}}`;
    const wanted = JSON.stringify(named.map(nameOf));
    let text = `await ${IMPORT}(${source}${options})`;
    if (whole) text = `const ${whole.local.name}=${text}${named.length > 0 ? `,${pattern}=${whole.local.name}` : ''}`;
    else if (node.specifiers.length > 0) text = `const ${pattern}=await ${IMPORT}.from(${source},${wanted}${options})`;
    return `${text};${code.slice(node.start, node.end).replace(/[^\r\n\u2028\u2029]/g, '')}`;
  }
}

// The same for functions that were taken out of the cell.
function importEdits(text) {
  const edits = [];
  if (!/\bimport\b/.test(text)) return edits;
  walk(parse(text), (node) => {
    const at = node.type === 'ImportExpression' ? node : node.type === 'MetaProperty' && node.meta.name === 'import' ? node.meta : null;
    if (at) edits.push({ start: at.start, end: at.start + IMPORT.length, text: IMPORT });
  });
  return edits;
}

// Of edits within another one only the outer counts.
function apply(code, edits) {
  let text = '';
  let at = 0;
  for (const { start, end, text: by } of edits.sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (start < at) continue;
    text += code.slice(at, start) + by;
    at = end;
  }
  return text + code.slice(at);
}

module.exports = { IMPORT, PLACES, Rewriter, acorn, find, parse };
