// See action.yml. Only what Node.js has is used, no packages.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const input = (name) => process.env[`INPUT_${name.toUpperCase()}`] ?? '';
const isTrue = (name) => input(name).toLowerCase() === 'true';

// The run and job that the token of the artifact service is for.
function backend() {
  const claims = process.env.ACTIONS_RUNTIME_TOKEN.split('.')[1];
  const scopes = JSON.parse(Buffer.from(claims, 'base64url')).scp.split(' ');
  const [, run, job] = scopes.find((one) => one.startsWith('Actions.Results:')).split(':');
  return { workflow_run_backend_id: run, workflow_job_run_backend_id: job };
}

async function call(method, body) {
  const service = 'twirp/github.actions.results.api.v1.ArtifactService';
  const url = new URL(`${service}/${method}`, process.env.ACTIONS_RESULTS_URL);
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${process.env.ACTIONS_RUNTIME_TOKEN}`,
    },
    body: JSON.stringify({ ...backend(), ...body }),
  });
  if (!answer.ok) throw new Error(`Failed to ${method}: ${answer.status}`);
  return answer.json();
}

// Files below a path: links are followed, hidden ones left out.
function* files(from, hidden) {
  const meta = fs.statSync(from);
  if (!meta.isDirectory()) {
    if (meta.isFile()) yield from;
    return;
  }
  for (const name of fs.readdirSync(from).sort()) {
    if (!hidden && name.startsWith('.')) continue;
    const inner = path.join(from, name);
    if (fs.existsSync(inner)) yield* files(inner, hidden);
  }
}

const table = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});
const crc32 = (bytes) => {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff];
  return (crc ^ 0xffffffff) >>> 0;
};

// A zip of [name, bytes] pairs, not compressed.
function zip(entries) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [name, bytes] of entries) {
    const title = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x0800, 2);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(title.length, 22);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, title, bytes]);
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, rest, title);
    parts.push(local);
    offset += local.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, listing, end]);
}

async function main() {
  const name = input('name');
  if (!name || /[":<>|*?\r\n\\/]/.test(name)) throw new Error(`The artifact name is not valid: ${name}`);
  const wanted = input('path').split('\n').map((line) => line.trim()).filter(Boolean);
  if (wanted.length === 0) throw new Error('Input required and not supplied: path');
  if (wanted.some((one) => /[*?[!]/.test(one))) throw new Error('This stand-in knows no patterns');
  const starts = wanted.map((one) => path.resolve(process.env.GITHUB_WORKSPACE, one));
  const there = starts.filter((one) => fs.existsSync(one));
  const found = there.flatMap((one) => [...files(one, isTrue('include-hidden-files'))]);
  if (found.length === 0) {
    const what = `No files were found with the provided path: ${wanted.join(', ')}.`;
    if (input('if-no-files-found') === 'error') throw new Error(what);
    if (input('if-no-files-found') === 'warn') console.log(`::warning::${what}`);
    return;
  }
  // Names in it are relative to the folder that all have in common.
  let root = fs.statSync(starts[0]).isDirectory() ? starts[0] : path.dirname(starts[0]);
  const inside = (one) => one === root || one.startsWith(root === '/' ? root : root + path.sep);
  while (!starts.every(inside)) root = path.dirname(root);

  const { artifacts = [] } = await call('ListArtifacts', { name_filter: name });
  if (artifacts.length > 0) {
    if (!isTrue('overwrite')) {
      throw new Error('Failed to CreateArtifact: (409) Conflict: an artifact with this name already exists on the workflow run');
    }
    await call('DeleteArtifact', { name });
  }
  const bytes = zip(found.map((one) => [path.relative(root, one), fs.readFileSync(one)]));
  const created = await call('CreateArtifact', { name, version: 4 });
  for (const [part, body] of [['block', bytes], ['blocklist', '']]) {
    const answer = await fetch(`${created.signedUploadUrl}&comp=${part}`, { method: 'PUT', body });
    if (!answer.ok) throw new Error(`Failed to upload: ${answer.status}`);
  }
  const hash = crypto.createHash('sha256').update(bytes).digest('hex');
  const done = await call('FinalizeArtifact', { name, size: String(bytes.length), hash: `sha256:${hash}` });
  const outputs = `artifact-id=${done.artifactId}\nartifact-digest=${hash}\n`;
  fs.appendFileSync(process.env.GITHUB_OUTPUT, outputs);
  console.log(`Artifact ${name} has been uploaded: ${found.length} files, ${bytes.length} bytes`);
}

main().catch((error) => {
  console.log(`::error::${error.message}`);
  process.exitCode = 1;
});
