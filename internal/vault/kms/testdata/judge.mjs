// @aws-sdk/client-kms does all that it can with one key, and says what was wrong in one line.
import * as sdk from '@aws-sdk/client-kms';

const { ENDPOINT: endpoint, AWS_REGION: region, KEY, DISABLED } = process.env;
const kms = new sdk.KMSClient({ endpoint, region, maxAttempts: 1, credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY } });
const ask = (name, input) => kms.send(new sdk[name + 'Command'](input));
const must = (ok, what) => { if (!ok) throw new Error('saw ' + JSON.stringify(what)); };
const refused = async (code, promise) => {
  try { must(false, await promise); } catch (e) {
    must(e.name === code && (!sdk[code] || e instanceof sdk[code]) && e.message, `${e.name}: ${e.message}, want ${code}`);
  }
};
const text = (b) => Buffer.from(b).toString();

let error = '';
try {
  const EncryptionContext = { b: '2', a: '1' };
  const sealed = await ask('Encrypt', { KeyId: 'alias/judge', Plaintext: Buffer.from('plain'), EncryptionContext });
  must(sealed.KeyId.endsWith(':key/' + KEY) && sealed.EncryptionAlgorithm === 'SYMMETRIC_DEFAULT', sealed);
  const { CiphertextBlob } = sealed;
  must(text((await ask('Decrypt', { CiphertextBlob, EncryptionContext: { a: '1', b: '2' } })).Plaintext) === 'plain', 'another text');
  await refused('InvalidCiphertextException', ask('Decrypt', { CiphertextBlob, EncryptionContext: { a: '1' } }));
  await refused('IncorrectKeyException', ask('Decrypt', { CiphertextBlob, EncryptionContext, KeyId: DISABLED }));
  await refused('NotFoundException', ask('Encrypt', { KeyId: 'alias/none', Plaintext: Buffer.from('x') }));
  await refused('DisabledException', ask('Encrypt', { KeyId: DISABLED, Plaintext: Buffer.from('x') }));
  const data = await ask('GenerateDataKey', { KeyId: sealed.KeyId, KeySpec: 'AES_256' });
  must(data.Plaintext.length === 32 && Buffer.compare((await ask('Decrypt', { CiphertextBlob: data.CiphertextBlob })).Plaintext, data.Plaintext) === 0, 'another key');
  const hidden = await ask('GenerateDataKeyWithoutPlaintext', { KeyId: KEY, NumberOfBytes: 64 });
  must(hidden.Plaintext === undefined, hidden);
  const again = await ask('ReEncrypt', { CiphertextBlob, SourceEncryptionContext: EncryptionContext, DestinationKeyId: KEY, DestinationEncryptionContext: { c: '3' } });
  must(text((await ask('Decrypt', { CiphertextBlob: again.CiphertextBlob, EncryptionContext: { c: '3' } })).Plaintext) === 'plain', again);
  const { KeyMetadata: m } = await ask('DescribeKey', { KeyId: 'alias/judge' });
  must(m.KeyId === KEY && m.Enabled && m.KeyState === 'Enabled' && m.CreationDate instanceof Date && m.KeySpec === 'SYMMETRIC_DEFAULT', m);
  const { Aliases } = await ask('ListAliases', {});
  must(Aliases.some((a) => a.AliasName === 'alias/judge' && a.TargetKeyId === KEY), Aliases);
  let keys = 0;
  for await (const page of sdk.paginateListKeys({ client: kms, pageSize: 1 }, {})) keys += page.Keys.length;
  must(keys === 2, keys);
} catch (e) { error = String(e.stack); }
console.log(JSON.stringify({ error }));
