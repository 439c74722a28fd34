// SPDX-License-Identifier: Apache-2.0
const greeting: string = 'hello from TypeScript';
console.log(greeting);
