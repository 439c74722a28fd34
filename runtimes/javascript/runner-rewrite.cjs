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
// - let and const of the same name do not mix in V8's REPL mode: const is let, and what assigns to it in so many words throws.
//
// Everything stays where it was, so that lines and columns are the program's own.
'use strict';

const { Array, Error, JSON, Map, Object, Set } = globalThis; // a program may replace them
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
    const cell = { code, edits: [], blanks: [], before: [], again: [], names: new Set() };
    const isStrict = tree.body.some((node) => node.directive === 'use strict');
    const last = tree.body[tree.body.length - 1];
    for (const node of tree.body) this.statement(cell, node, isStrict);
    if (/\b(?:var|import)\b/.test(code)) walk(tree, (node, isTopLevel) => this.inside(cell, node, isTopLevel));
    if (/\bvar\b/.test(code)) this.heads(cell, tree);
    this.constants(cell, tree);
    return {
      before: this.before(cell),
      again: this.again(cell),
      main: apply(code, [...cell.blanks, ...cell.edits]),
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
        if (node.kind === 'var') break;
        for (const name of declared(node)) this.lexical.set(name, node.kind);
        if (node.kind === 'const') cell.edits.push({ start: node.start, end: node.start + 5, text: 'let  ' });
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
    cell.blanks.push({ start: node.start, end: node.end, text: `;${blank(cell.code.slice(node.start + 1, node.end))}` });
  }

  inside(cell, node, isTopLevel) {
    if (node.type === 'ImportExpression') {
      cell.edits.push({ start: node.start, end: node.start + IMPORT.length, text: IMPORT });
    } else if (node.type === 'MetaProperty' && node.meta.name === 'import') {
      cell.edits.push({ start: node.meta.start, end: node.meta.end, text: IMPORT });
    } else if (isTopLevel && node.type === 'VariableDeclaration' && node.kind === 'var') {
      for (const name of declared(node)) {
        if (this.lexical.has(name)) this.lexical.set(name, 'let');
        else cell.names.add(name);
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

  // Assignments to a const. Names that the cell also declares elsewhere are left alone: they may mean something else there.
  constants(cell, tree) {
    if (![...this.lexical.values()].includes('const')) return;
    const found = [];
    const others = new Set();
    const top = new Set(tree.body.map((node) => node.declaration || node));
    walk(tree, (node) => {
      if (node.params) for (const one of node.params) for (const name of namesOf(one)) others.add(name);
      if (node.type === 'CatchClause') for (const name of namesOf(node.param)) others.add(name);
      if (node.type === 'VariableDeclaration' && !top.has(node)) for (const name of declared(node)) others.add(name);
      if (/^(?:Function|Class)/.test(node.type) && node.id && !top.has(node)) others.add(node.id.name);
      if (node.type === 'AssignmentExpression' && node.left.type === 'Identifier' && !/[&|?]/.test(node.operator)) found.push([node, node.left, node.right]);
      if (node.type === 'UpdateExpression' && node.argument.type === 'Identifier') found.push([node, node.argument, node.argument]);
    });
    for (const [node, { name }, value] of found) {
      if (this.lexical.get(name) !== 'const' || others.has(name)) continue;
      cell.edits.push({ start: node.start, end: value.start, text: `${IMPORT}.constant(` }, { start: value.end, end: node.end, text: ')' });
    }
  }

  before({ code, edits, before, names }) {
    let text = '';
    let at = 0;
    for (const node of before) {
      text += blank(code.slice(at, node.start)) + apply(code, edits, node.start, node.end);
      at = node.end;
    }
    return names.size > 0 ? `${text}\nvar ${[...names].join()};` : text;
  }

  again({ code, edits, again }) {
    let text = '';
    let at = 0;
    for (const node of again) {
      const { id } = node;
      const begin = `;let ${id.name}=`;
      text += blank(code.slice(at, node.start));
      if (text.endsWith(' '.repeat(begin.length))) text = text.slice(0, -begin.length);
      // Without its name: inside, the name means the variable.
      text += begin + apply(code, [...edits, { start: id.start, end: id.end, text: blank(id.name) }], node.start, node.end);
      at = node.end;
      this.lexical.set(id.name, 'let');
    }
    return text;
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
    if (whole) text = `let ${whole.local.name}=${text}${named.length > 0 ? `,${pattern}=${whole.local.name}` : ''}`;
    else if (node.specifiers.length > 0) text = `let ${pattern}=await ${IMPORT}.from(${source},${wanted}${options})`;
    return `${text};${code.slice(node.start, node.end).replace(/[^\r\n\u2028\u2029]/g, '')}`;
  }
}

// The text from one place to another with the edits in between. Of edits within another one only the outer counts.
function apply(code, edits, from = 0, to = code.length) {
  let text = '';
  let at = from;
  const inside = edits.filter(({ start, end }) => start >= from && end <= to);
  for (const { start, end, text: by } of inside.sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (start < at) continue;
    text += code.slice(at, start) + by;
    at = end;
  }
  return text + code.slice(at, to);
}

module.exports = { IMPORT, PLACES, Rewriter, acorn, find, parse };
