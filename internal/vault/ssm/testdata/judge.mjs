// @aws-sdk/client-ssm asks for each behaviour of the contract by its number and says what
// it saw, one line of JSON each. ENDPOINT, AWS_* and the credentials of others are in the
// environment; the names it uses lie under ROOT.
import * as sdk from '@aws-sdk/client-ssm';

const { ENDPOINT: endpoint, ROOT: root, AWS_REGION: region } = process.env;
const mine = { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY };
const session = JSON.parse(process.env.SESSION);
const client = (credentials) => new sdk.SSMClient({ endpoint, region, credentials, maxAttempts: 1 });
const ssm = client(mine);

// ask sends one command; change may alter the request after it was signed.
const ask = (name, input, { change, using = ssm } = {}) => {
  const command = new sdk[name + 'Command'](input);
  if (change) {
    command.middlewareStack.add((next) => (args) => { change(args.request); return next(args); }, { step: 'deserialize', name: 'change', priority: 'low' });
  }
  return using.send(command);
};
const must = (ok, what) => { if (!ok) throw new Error(typeof what === 'string' ? what : 'saw ' + JSON.stringify(what)); };
const refused = async (code, promise, text = '') => {
  let got;
  try { got = await promise; } catch (e) {
    must(e.name === code, `${e.name}: ${e.message}, want ${code}`);
    must(!sdk[code] || e instanceof sdk[code], `${code} is not of the SDK's own type`);
    must(e.message && e.message !== 'UnknownError' && e.message.includes(text), `${code} says ${e.message}`);
    must(e.$metadata.requestId, `${code} has no request id`);
    return;
  }
  throw new Error(`not refused with ${code} but ${JSON.stringify(got)}`);
};
const put = (name, value, more = {}) => ask('PutParameter', { Name: name, Value: value, Type: 'String', ...more });
const over = (name, value, more = {}) => put(name, value, { Type: undefined, Overwrite: true, ...more });
const get = (name, more = {}) => ask('GetParameter', { Name: name, WithDecryption: true, ...more });
const about = async (name) => (await ask('DescribeParameters', { ParameterFilters: [{ Key: 'Name', Values: [name] }] })).Parameters[0];
const same = (a, b) => must(JSON.stringify(a) === JSON.stringify(b), `${JSON.stringify(a)}, want ${JSON.stringify(b)}`);
const names = (page) => page.Parameters.map((p) => p.Name.slice(root.length));
const all = async (name, input) => {
  const out = [];
  let token;
  do {
    const page = await ask(name, { ...input, NextToken: token });
    out.push(...page.Parameters);
    token = page.NextToken;
  } while (token);
  return out;
};
const policy = (type, attributes) => ({ Type: type, Version: '1.0', Attributes: attributes });
const ends = policy('Expiration', { Timestamp: '2090-01-01T00:00:00Z' });
const unchanged = policy('NoChangeNotification', { After: '20', Unit: 'Days' });
const r = root;

const behaviours = {
  1: () => refused('UnknownOperationException', ask('GetParameter', { Name: r }, { using: untargeted() })),
  2: () => refused('SerializationException', ask('GetParameter', { Name: r }, { using: spoiled('{"Name":') })),
  3: () => refused('MissingAuthenticationTokenException', ask('GetParameter', { Name: r }, { change: (q) => { delete q.headers.authorization; } })),
  4: () => refused('InvalidSignatureException', ask('GetParameter', { Name: r }, { using: client({ ...mine, secretAccessKey: 'another' }) })),
  5: () => refused('UnrecognizedClientException', ask('GetParameter', { Name: r }, { using: client({ ...mine, accessKeyId: 'AKIAABCDEFGHIJKLMNOP' }) })),
  6: () => refused('InvalidSignatureException', ask('GetParameter', { Name: r }, { change: (q) => { q.headers.authorization = q.headers.authorization.replace('/ssm/', '/kms/'); } }), 'ssm'),
  7: () => refused('InvalidSignatureException', ask('GetParameter', { Name: r + '/a' }, { change: (q) => { q.body = q.body.replace('/a', '/b'); } })),
  8: async () => {
    const using = client(session);
    if (process.env.SESSION_OVER) return refused('ExpiredTokenException', ask('DescribeParameters', {}, { using }), 'expired');
    await ask('DescribeParameters', {}, { using });
    await refused('UnrecognizedClientException', ask('DescribeParameters', {}, { using: client({ ...session, sessionToken: 'another' }) }));
    await refused('UnrecognizedClientException', ask('DescribeParameters', {}, { using: client({ ...session, sessionToken: undefined }) }));
  },
  9: async () => { await put(r + '/9', 'x'); await ask('GetParameter', { Name: r + '/9' }, { using: spoiled(JSON.stringify({ Name: r + '/9', Else: { x: [1] } })) }); },
  10: async () => { await put(r + '/10', 'planted-in-the-wire', { Type: 'SecureString' }); await get(r + '/10'); }, // whoever started this searches for it
  11: async () => { await put(r + '/11', 'x'); const got = await get(r + '/11'); must(got.$metadata.requestId, got); return got.$metadata.requestId; },
  12: async () => { const got = await put(r + '/12', 'x'); must(got.Version === 1 && got.Tier === 'Standard', got); await refused('ParameterAlreadyExists', put(r + '/12', 'x')); },
  13: async () => must((await put(r + '/13', 'x', { Overwrite: true })).Version === 1, 'no first version'),
  14: async () => { await put(r + '/14', 'x'); must((await over(r + '/14', 'y')).Version === 2, 'no second version'); },
  15: () => refused('ValidationException', put(r + '/15', 'x', { Type: undefined }), 'A parameter type is required when you create a parameter.'),
  16: async () => { await put(r + '/16', 'x'); await refused('HierarchyTypeMismatchException', over(r + '/16', 'x', { Type: 'SecureString' })); },
  17: async () => { await put(r + '/17', 'x'); await refused('ValidationException', over(r + '/17', 'x', { Tags: [{ Key: 'a', Value: 'b' }] }), 'AddTagsToResource'); },
  18: async () => {
    for (const n of ['aws', 'AWSx', 'ssm.x', 'SSM', '/ssm/x', '/Ssmx']) await refused('ValidationException', put(n, 'x'));
    await refused('AccessDeniedException', put('/aws/x', 'x'));
  },
  19: async () => {
    for (const n of [r + '/a b', r + '/ä', r + '/a*', r + '/a:b']) await refused('ValidationException', put(n, 'x'));
    await put('  ' + r + '/19 ', 'x');
    must((await get(r + '/19')).Parameter.Name === r + '/19', 'not trimmed');
  },
  20: () => refused('ValidationException', put('a/b', 'x'), 'fully qualified'),
  21: () => refused('ValidationException', put(r + '/21', '')),
  22: async () => {
    await put(r + '/22', 'v'.repeat(4096));
    await refused('ValidationException', over(r + '/22', 'v'.repeat(4097)), '4096');
    must((await over(r + '/22', 'v'.repeat(4097), { Tier: 'Intelligent-Tiering' })).Tier === 'Advanced', 'not advanced');
  },
  23: async () => { await put(r + '/23', 'v'.repeat(8192), { Tier: 'Advanced' }); await refused('ValidationException', over(r + '/23', 'v'.repeat(8193), { Tier: 'Advanced' })); },
  24: async () => { await put(r + '/24', 'a,b,,c', { Type: 'StringList' }); must((await get(r + '/24')).Parameter.Value === 'a,b,,c', 'the list changed'); },
  25: () => refused('ValidationException', put(r + '/25', 'x{{ssm:y}}')),
  26: async () => {
    await refused('ParameterPatternMismatchException', put(r + '/26', 'x', { AllowedPattern: '^[0-9]+$' }));
    await refused('InvalidAllowedPatternException', put(r + '/26', 'x', { AllowedPattern: '(' }));
    await put(r + '/26', '7', { AllowedPattern: '^[0-9]+$' });
    await refused('ParameterPatternMismatchException', over(r + '/26', 'x'));
    await over(r + '/26', 'x', { AllowedPattern: '' });
  },
  27: async () => { await refused('ValidationException', put(r + '/27', 'x', { DataType: 'else' })); await put(r + '/27', 'x'); must((await get(r + '/27')).Parameter.DataType === 'text', 'not text'); },
  28: async () => {
    await put(r + '/28', '7', { Description: 'a number', AllowedPattern: '^[0-9]+$', Policies: JSON.stringify([unchanged]), Tier: 'Advanced' });
    await over(r + '/28', '8');
    const p = await about(r + '/28');
    must(p.Description === 'a number' && p.AllowedPattern === '^[0-9]+$' && p.Policies.length === 1 && p.Policies[0].PolicyType === 'NoChangeNotification', p);
  },
  29: async () => {
    await put(r + '/29', 'x', { Type: 'SecureString' });
    must((await about(r + '/29')).KeyId === 'alias/aws/ssm', 'another key');
    await refused('ValidationException', put(r + '/29s', 'x', { KeyId: 'alias/aws/ssm' }));
  },
  30: () => refused('InvalidKeyId', put(r + '/30', 'x', { Type: 'SecureString', KeyId: 'alias/else' })),
  31: async () => {
    const with_ = (ps) => put(r + '/31', 'x', { Overwrite: true, Tier: 'Advanced', Policies: JSON.stringify(ps) });
    await refused('PoliciesLimitExceededException', with_(Array(11).fill(unchanged)));
    await refused('IncompatiblePolicyException', with_([ends, ends]));
    await refused('InvalidPolicyTypeException', with_([policy('Else', {})]));
    await refused('InvalidPolicyAttributeException', with_([policy('Expiration', {})]));
    await with_([ends]);
    must((await about(r + '/31')).Policies[0].PolicyStatus === 'Pending', 'not pending');
    await with_([]);
    must((await about(r + '/31')).Policies.length === 0, 'not cleared');
  },
  32: async () => {
    await put(r + '/32', '1'); await over(r + '/32', '2'); await over(r + '/32', '3');
    await ask('LabelParameterVersion', { Name: r + '/32', ParameterVersion: 2, Labels: ['prod'] });
    const n = (await get(r + '/32:3')).Parameter, l = (await get(r + '/32:prod')).Parameter;
    must(n.Value === '3' && n.Selector === ':3' && l.Value === '2' && l.Selector === ':prod', [n, l]);
  },
  33: async () => {
    await put(r + '/33', 'x');
    const p = (await get(r + '/33')).Parameter;
    must(/^arn:aws:ssm:[a-z0-9-]+:\d{12}:parameter\//.test(p.ARN), p);
    must((await get(p.ARN)).Parameter.Name === r + '/33', 'another one');
  },
  34: async () => {
    await refused('ParameterNotFound', get(r + '/34'));
    await put(r + '/34', 'x');
    await refused('ParameterVersionNotFound', get(r + '/34:9'), `Systems Manager could not find version 9 of ${r}/34. Verify the version and try again.`);
  },
  35: async () => { await put(r + '/35', 'p'); for (const d of [true, false]) must((await get(r + '/35', { WithDecryption: d })).Parameter.Value === 'p', 'another value'); },
  36: async () => {
    await put(r + '/36/b', 'x'); await put(r + '/36/a', 'x');
    const got = await ask('GetParameters', { Names: [r + '/36/b', r + '/36/none', r + '/36/a', r + '/36/b', 'not good'] });
    same(names(got), ['/36/a', '/36/b']);
    same([...got.InvalidParameters].sort(), [r + '/36/none', 'not good'].sort());
  },
  37: () => refused('ValidationException', ask('GetParameters', { Names: Array(11).fill('/a') }), "at 'names' failed to satisfy constraint: Member must have length less than or equal to 10"),
  38: async () => { await put(r + '/38/a', 'x'); for (const p of ['/38', '/38/']) same(names(await ask('GetParametersByPath', { Path: r + p })), ['/38/a']); },
  39: async () => {
    await put(r + '/39/a', 'x'); await put(r + '/39/b/c', 'x');
    same(names(await ask('GetParametersByPath', { Path: r + '/39' })), ['/39/a']);
    same(names(await ask('GetParametersByPath', { Path: r + '/39', Recursive: true })), ['/39/a', '/39/b/c']);
  },
  40: async () => {
    for (let i = 0; i < 12; i++) await put(`${r}/40/p${String(i).padStart(2, '0')}`, 'x');
    const page = await ask('GetParametersByPath', { Path: r + '/40' });
    must(page.Parameters.length === 10 && page.NextToken && !page.NextToken.includes('p0'), page);
    const seen = [];
    for await (const q of sdk.paginateGetParametersByPath({ client: ssm, pageSize: 5 }, { Path: r + '/40' })) seen.push(...names(q));
    must(seen.length === 12 && new Set(seen).size === 12, seen);
  },
  41: () => refused('InvalidNextToken', ask('GetParametersByPath', { Path: r, NextToken: 'else' })),
  42: async () => {
    const by = (f) => ask('GetParametersByPath', { Path: r + '/42', Recursive: true, ParameterFilters: [f] });
    await put(r + '/42/a', 'x'); await put(r + '/42/s', 'x', { Type: 'SecureString' });
    await ask('LabelParameterVersion', { Name: r + '/42/s', Labels: ['live'] });
    same(names(await by({ Key: 'Type', Option: 'Equals', Values: ['SecureString'] })), ['/42/s']);
    same(names(await by({ Key: 'KeyId', Values: ['alias/aws/ssm'] })), ['/42/s']);
    same(names(await by({ Key: 'Label', Option: 'Equals', Values: ['live'] })), ['/42/s']);
    await refused('InvalidFilterOption', by({ Key: 'Label', Option: 'BeginsWith', Values: ['live'] }));
    await refused('InvalidFilterKey', by({ Key: 'Name', Values: ['a'] }));
  },
  43: () => refused('ValidationException', ask('GetParametersByPath', { Path: r, MaxResults: 11 }), 'less than or equal to 10'),
  44: async () => {
    await put(r + '/44/a', 'x', { Tags: [{ Key: 'team', Value: 'red' }] }); await put(r + '/44/b/c', 'x', { Type: 'SecureString', Tier: 'Advanced' });
    const by = async (...f) => (await all('DescribeParameters', { ParameterFilters: [{ Key: 'Path', Option: 'Recursive', Values: [r + '/44'] }, ...f] })).map((p) => p.Name.slice(r.length));
    same(await by(), ['/44/a', '/44/b/c']);
    same((await all('DescribeParameters', { ParameterFilters: [{ Key: 'Path', Option: 'OneLevel', Values: [r + '/44'] }] })).map((p) => p.Name.slice(r.length)), ['/44/a']);
    same(await by({ Key: 'Name', Option: 'Equals', Values: [r + '/44/a'] }), ['/44/a']);
    same(await by({ Key: 'Name', Option: 'BeginsWith', Values: [r + '/44/b'] }), ['/44/b/c']);
    same(await by({ Key: 'Name', Option: 'Contains', Values: ['/b/'] }), ['/44/b/c']);
    same(await by({ Key: 'Type', Values: ['SecureString'] }), ['/44/b/c']);
    same(await by({ Key: 'Tier', Values: ['Advanced'] }), ['/44/b/c']);
    same(await by({ Key: 'DataType', Values: ['text'] }), ['/44/a', '/44/b/c']);
    same(await by({ Key: 'tag:team', Values: ['red'] }), ['/44/a']);
    same(await by({ Key: 'tag:team', Values: ['blue'] }), []);
    const p = await about(r + '/44/a');
    must(p.LastModifiedDate instanceof Date && p.LastModifiedUser.startsWith('arn:aws:iam::') && p.ARN.endsWith(r + '/44/a'), p);
  },
  45: async () => {
    const f = { Key: 'Name', Values: ['a'] };
    await refused('ValidationException', ask('DescribeParameters', { Filters: [f], ParameterFilters: [f] }));
    await refused('InvalidFilterKey', ask('DescribeParameters', { ParameterFilters: [f, f] }));
    await refused('InvalidFilterKey', ask('DescribeParameters', { ParameterFilters: [{ Key: 'Colour', Values: ['a'] }] }));
    await refused('InvalidFilterValue', ask('DescribeParameters', { ParameterFilters: [{ Key: 'Path', Values: ['a'] }] }));
  },
  46: async () => {
    await put(r + '/46', '1'); await over(r + '/46', '2');
    await ask('LabelParameterVersion', { Name: r + '/46', ParameterVersion: 1, Labels: ['old'] });
    const h = (await ask('GetParameterHistory', { Name: r + '/46' })).Parameters;
    same(h.map((p) => [p.Version, p.Value, p.Labels]), [[1, '1', ['old']], [2, '2', []]]);
    must(h[0].LastModifiedDate instanceof Date && h[0].LastModifiedUser, h);
    await ask('DeleteParameter', { Name: r + '/46' });
    await refused('ParameterNotFound', ask('GetParameterHistory', { Name: r + '/46' }));
  },
  47: async () => {
    await put(r + '/47', '1');
    same((await ask('LabelParameterVersion', { Name: r + '/47', Labels: ['ok', '1bad', 'aws-x'] })).InvalidLabels, ['1bad', 'aws-x']);
    const got = await ask('UnlabelParameterVersion', { Name: r + '/47', ParameterVersion: 1, Labels: ['ok', 'none'] });
    same([got.RemovedLabels, got.InvalidLabels], [['ok'], ['none']]);
    await refused('ValidationException', ask('UnlabelParameterVersion', { Name: r + '/47', Labels: ['ok'] }));
    await refused('ParameterVersionNotFound', ask('LabelParameterVersion', { Name: r + '/47', ParameterVersion: 9, Labels: ['x'] }));
    const ten = Array.from({ length: 10 }, (_, i) => 'l' + i);
    await ask('LabelParameterVersion', { Name: r + '/47', Labels: ten });
    await refused('ParameterVersionLabelLimitExceeded', ask('LabelParameterVersion', { Name: r + '/47', Labels: ['l10'] }));
  },
  48: async () => {
    await refused('ParameterNotFound', ask('DeleteParameter', { Name: r + '/48' }));
    await put(r + '/48', 'x');
    const got = await ask('DeleteParameters', { Names: [r + '/48', r + '/48none'] });
    same([got.DeletedParameters, got.InvalidParameters], [[r + '/48'], [r + '/48none']]);
  },
  49: async () => {
    const on = (id, more) => ask('AddTagsToResource', { ResourceType: 'Parameter', ResourceId: id, Tags: [{ Key: 'a', Value: 'b' }], ...more });
    await refused('InvalidResourceId', on(r + '/49'));
    await refused('InvalidResourceId', ask('ListTagsForResource', { ResourceType: 'Parameter', ResourceId: r + '/49' }));
    await put(r + '/49', 'x');
    await refused('InvalidResourceType', on(r + '/49', { ResourceType: 'Document' }));
    await on(r + '/49');
    await refused('TooManyTagsError', on(r + '/49', { Tags: Array.from({ length: 50 }, (_, i) => ({ Key: 'k' + i, Value: 'x' })) }));
    await ask('RemoveTagsFromResource', { ResourceType: 'Parameter', ResourceId: r + '/49', TagKeys: ['none'] });
    same((await ask('ListTagsForResource', { ResourceType: 'Parameter', ResourceId: r + '/49' })).TagList, [{ Key: 'a', Value: 'b' }]);
  },
};

// A client that signs a request which it would never make by itself.
const altered = (alter) => {
  const c = client(mine);
  c.middlewareStack.add((next) => (args) => { alter(args.request); return next(args); }, { step: 'build', name: 'alter', priority: 'low' });
  return c;
};
const untargeted = () => altered((q) => { delete q.headers['x-amz-target']; });
const spoiled = (body) => altered((q) => { q.body = body; q.headers['content-length'] = String(body.length); });

const asked = process.env.ONLY ? process.env.ONLY.split(',') : Object.keys(behaviours);
for (const n of asked) {
  let error = '', id = '';
  try { id = (await behaviours[n]()) ?? ''; } catch (e) { error = String(e.stack ?? e); }
  console.log(JSON.stringify({ n: Number(n), error, id: typeof id === 'string' ? id : '' }));
}
