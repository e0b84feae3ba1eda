# boto3 asks for each behaviour of the contract by its number and says what it saw, one line
# of JSON each: the same as judge.mjs, through another client.
import datetime, json, os, sys, traceback
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, r = os.environ['ENDPOINT'], os.environ['ROOT']
session = json.loads(os.environ['SESSION'])
plain = Config(retries={'total_max_attempts': 1}, parameter_validation=False)


def client(alter=None, change=None, **kw):
    c = boto3.client('ssm', endpoint_url=endpoint, config=plain, **kw)
    if alter:
        c.meta.events.register('before-sign.ssm', lambda request, **_: alter(request))
    if change:
        c.meta.events.register('before-send.ssm', lambda request, **_: change(request))
    return c


ssm = client()


def refused(code, do, text=''):
    try:
        got = do()
    except ClientError as e:
        c, m = e.response['Error']['Code'], e.response['Error'].get('Message', '')
        assert c == code, f'{c}: {m}, want {code}'
        known = getattr(ssm.exceptions, code, None) if code in ssm.meta.service_model.shape_names else None
        assert known is None or isinstance(e, known), f'{code} is not of its own type'
        assert m and text in m, f'{code} says {m}'
        assert e.response['ResponseMetadata'].get('RequestId'), f'{code} has no request id'
        return
    raise AssertionError(f'not refused with {code} but {got}')


def put(name, value, **kw):
    return ssm.put_parameter(**{'Name': name, 'Value': value, 'Type': 'String', **kw})


def over(name, value, **kw):
    return ssm.put_parameter(**{'Name': name, 'Value': value, 'Overwrite': True, **kw})


def get(name, **kw):
    return ssm.get_parameter(**{'Name': name, 'WithDecryption': True, **kw})


def about(name):
    return ssm.describe_parameters(ParameterFilters=[{'Key': 'Name', 'Values': [name]}])['Parameters'][0]


def same(a, b):
    assert a == b, f'{a}, want {b}'


def names(page):
    return [p['Name'][len(r):] for p in page['Parameters']]


def by_path(path, *filters, **kw):
    return ssm.get_parameters_by_path(Path=path, ParameterFilters=list(filters), **kw)


def policy(kind, **attributes):
    return {'Type': kind, 'Version': '1.0', 'Attributes': attributes}


def body(text):
    def alter(request):
        request.data = text
        request.headers['Content-Length'] = str(len(text))
    return alter


def dropped(header):
    def alter(request):
        del request.headers[header]
    return alter


def b8():
    live = {'aws_access_key_id': session['accessKeyId'], 'aws_secret_access_key': session['secretAccessKey']}
    c = client(**live, aws_session_token=session['sessionToken'])
    if os.environ.get('SESSION_OVER'):
        return refused('ExpiredTokenException', c.describe_parameters, 'expired')
    c.describe_parameters()
    refused('UnrecognizedClientException', client(**live, aws_session_token='another').describe_parameters)
    refused('UnrecognizedClientException', client(**live).describe_parameters)


def b9():
    put(r + '/9', 'x')
    client(alter=body(json.dumps({'Name': r + '/9', 'Else': {'x': [1]}}))).get_parameter(Name=r + '/9')


def b10():
    put(r + '/10', 'planted-in-the-wire', Type='SecureString')
    get(r + '/10')


def b11():
    put(r + '/11', 'x')
    return get(r + '/11')['ResponseMetadata']['RequestId']


def b12():
    got = put(r + '/12', 'x')
    same((got['Version'], got['Tier']), (1, 'Standard'))
    refused('ParameterAlreadyExists', lambda: put(r + '/12', 'x'))


def b14():
    put(r + '/14', 'x')
    same(over(r + '/14', 'y')['Version'], 2)


def b16():
    put(r + '/16', 'x')
    refused('HierarchyTypeMismatchException', lambda: over(r + '/16', 'x', Type='SecureString'))


def b17():
    put(r + '/17', 'x')
    refused('ValidationException', lambda: over(r + '/17', 'x', Tags=[{'Key': 'a', 'Value': 'b'}]), 'AddTagsToResource')


def b18():
    for n in ['aws', 'AWSx', 'ssm.x', 'SSM', '/ssm/x', '/Ssmx']:
        refused('ValidationException', lambda: put(n, 'x'))
    refused('AccessDeniedException', lambda: put('/aws/x', 'x'))


def b19():
    for n in [r + '/a b', r + '/ä', r + '/a*', r + '/a:b']:
        refused('ValidationException', lambda: put(n, 'x'))
    put('  ' + r + '/19 ', 'x')
    same(get(r + '/19')['Parameter']['Name'], r + '/19')


def b22():
    put(r + '/22', 'v' * 4096)
    refused('ValidationException', lambda: over(r + '/22', 'v' * 4097), '4096')
    same(over(r + '/22', 'v' * 4097, Tier='Intelligent-Tiering')['Tier'], 'Advanced')


def b23():
    put(r + '/23', 'v' * 8192, Tier='Advanced')
    refused('ValidationException', lambda: over(r + '/23', 'v' * 8193, Tier='Advanced'))


def b24():
    put(r + '/24', 'a,b,,c', Type='StringList')
    same(get(r + '/24')['Parameter']['Value'], 'a,b,,c')


def b26():
    refused('ParameterPatternMismatchException', lambda: put(r + '/26', 'x', AllowedPattern='^[0-9]+$'))
    refused('InvalidAllowedPatternException', lambda: put(r + '/26', 'x', AllowedPattern='('))
    put(r + '/26', '7', AllowedPattern='^[0-9]+$')
    refused('ParameterPatternMismatchException', lambda: over(r + '/26', 'x'))
    over(r + '/26', 'x', AllowedPattern='')


def b27():
    refused('ValidationException', lambda: put(r + '/27', 'x', DataType='else'))
    put(r + '/27', 'x')
    same(get(r + '/27')['Parameter']['DataType'], 'text')


unchanged = policy('NoChangeNotification', After='20', Unit='Days')
ends = policy('Expiration', Timestamp='2090-01-01T00:00:00Z')


def b28():
    put(r + '/28', '7', Description='a number', AllowedPattern='^[0-9]+$', Policies=json.dumps([unchanged]), Tier='Advanced')
    over(r + '/28', '8')
    p = about(r + '/28')
    same((p['Description'], p['AllowedPattern'], [x['PolicyType'] for x in p['Policies']]), ('a number', '^[0-9]+$', ['NoChangeNotification']))


def b29():
    put(r + '/29', 'x', Type='SecureString')
    same(about(r + '/29')['KeyId'], 'alias/aws/ssm')
    refused('ValidationException', lambda: put(r + '/29s', 'x', KeyId='alias/aws/ssm'))


def b31():
    def on(ps):
        return put(r + '/31', 'x', Overwrite=True, Tier='Advanced', Policies=json.dumps(ps))
    refused('PoliciesLimitExceededException', lambda: on([unchanged] * 11))
    refused('IncompatiblePolicyException', lambda: on([ends, ends]))
    refused('InvalidPolicyTypeException', lambda: on([policy('Else')]))
    refused('InvalidPolicyAttributeException', lambda: on([policy('Expiration')]))
    on([ends])
    same(about(r + '/31')['Policies'][0]['PolicyStatus'], 'Pending')
    on([])
    same(about(r + '/31')['Policies'], [])


def b32():
    put(r + '/32', '1'), over(r + '/32', '2'), over(r + '/32', '3')
    ssm.label_parameter_version(Name=r + '/32', ParameterVersion=2, Labels=['prod'])
    for sel, value in ((':3', '3'), (':prod', '2')):
        p = get(r + '/32' + sel)['Parameter']
        same((p['Value'], p['Selector']), (value, sel))


def b33():
    put(r + '/33', 'x')
    arn = get(r + '/33')['Parameter']['ARN']
    same(get(arn)['Parameter']['Name'], r + '/33')


def b34():
    refused('ParameterNotFound', lambda: get(r + '/34'))
    put(r + '/34', 'x')
    refused('ParameterVersionNotFound', lambda: get(r + '/34:9'), f'Systems Manager could not find version 9 of {r}/34. Verify the version and try again.')


def b35():
    put(r + '/35', 'p')
    for d in (True, False):
        same(get(r + '/35', WithDecryption=d)['Parameter']['Value'], 'p')


def b36():
    put(r + '/36/b', 'x'), put(r + '/36/a', 'x')
    got = ssm.get_parameters(Names=[r + '/36/b', r + '/36/none', r + '/36/a', r + '/36/b', 'not good'])
    same(names(got), ['/36/a', '/36/b'])
    same(sorted(got['InvalidParameters']), sorted([r + '/36/none', 'not good']))


def b38():
    put(r + '/38/a', 'x')
    for p in ('/38', '/38/'):
        same(names(by_path(r + p)), ['/38/a'])


def b39():
    put(r + '/39/a', 'x'), put(r + '/39/b/c', 'x')
    same(names(by_path(r + '/39')), ['/39/a'])
    same(names(by_path(r + '/39', Recursive=True)), ['/39/a', '/39/b/c'])


def b40():
    for i in range(12):
        put(f'{r}/40/p{i:02}', 'x')
    page = by_path(r + '/40')
    assert len(page['Parameters']) == 10 and 'p0' not in page['NextToken'], page
    seen = [n for q in ssm.get_paginator('get_parameters_by_path').paginate(Path=r + '/40', PaginationConfig={'PageSize': 5}) for n in names(q)]
    same((len(seen), len(set(seen))), (12, 12))


def b42():
    put(r + '/42/a', 'x'), put(r + '/42/s', 'x', Type='SecureString')
    ssm.label_parameter_version(Name=r + '/42/s', Labels=['live'])
    for f in ({'Key': 'Type', 'Option': 'Equals', 'Values': ['SecureString']}, {'Key': 'KeyId', 'Values': ['alias/aws/ssm']}, {'Key': 'Label', 'Option': 'Equals', 'Values': ['live']}):
        same(names(by_path(r + '/42', f)), ['/42/s'])
    refused('InvalidFilterOption', lambda: by_path(r + '/42', {'Key': 'Label', 'Option': 'BeginsWith', 'Values': ['live']}))
    refused('InvalidFilterKey', lambda: by_path(r + '/42', {'Key': 'Name', 'Values': ['a']}))


def b44():
    put(r + '/44/a', 'x', Tags=[{'Key': 'team', 'Value': 'red'}]), put(r + '/44/b/c', 'x', Type='SecureString', Tier='Advanced')

    def by(*fs, depth='Recursive'):
        filters = [{'Key': 'Path', 'Option': depth, 'Values': [r + '/44']}, *fs]
        return [n for q in ssm.get_paginator('describe_parameters').paginate(ParameterFilters=filters) for n in names(q)]
    same(by(), ['/44/a', '/44/b/c'])
    same(by(depth='OneLevel'), ['/44/a'])
    same(by({'Key': 'Name', 'Option': 'Equals', 'Values': [r + '/44/a']}), ['/44/a'])
    same(by({'Key': 'Name', 'Option': 'BeginsWith', 'Values': [r + '/44/b']}), ['/44/b/c'])
    same(by({'Key': 'Name', 'Option': 'Contains', 'Values': ['/b/']}), ['/44/b/c'])
    same(by({'Key': 'Type', 'Values': ['SecureString']}), ['/44/b/c'])
    same(by({'Key': 'Tier', 'Values': ['Advanced']}), ['/44/b/c'])
    same(by({'Key': 'DataType', 'Values': ['text']}), ['/44/a', '/44/b/c'])
    same(by({'Key': 'tag:team', 'Values': ['red']}), ['/44/a'])
    p = about(r + '/44/a')
    assert isinstance(p['LastModifiedDate'], datetime.datetime) and p['LastModifiedUser'].startswith('arn:aws:iam::'), p


def b45():
    f = {'Key': 'Name', 'Values': ['a']}
    refused('ValidationException', lambda: ssm.describe_parameters(Filters=[f], ParameterFilters=[f]))
    refused('InvalidFilterKey', lambda: ssm.describe_parameters(ParameterFilters=[f, f]))
    refused('InvalidFilterKey', lambda: ssm.describe_parameters(ParameterFilters=[{'Key': 'Colour', 'Values': ['a']}]))
    refused('InvalidFilterValue', lambda: ssm.describe_parameters(ParameterFilters=[{'Key': 'Path', 'Values': ['a']}]))


def b46():
    put(r + '/46', '1'), over(r + '/46', '2')
    ssm.label_parameter_version(Name=r + '/46', ParameterVersion=1, Labels=['old'])
    h = ssm.get_parameter_history(Name=r + '/46')['Parameters']
    same([(p['Version'], p['Value'], p['Labels']) for p in h], [(1, '1', ['old']), (2, '2', [])])
    assert h[0]['LastModifiedUser'] and isinstance(h[0]['LastModifiedDate'], datetime.datetime), h
    ssm.delete_parameter(Name=r + '/46')
    refused('ParameterNotFound', lambda: ssm.get_parameter_history(Name=r + '/46'))


def b47():
    put(r + '/47', '1')
    same(ssm.label_parameter_version(Name=r + '/47', Labels=['ok', '1bad', 'aws-x'])['InvalidLabels'], ['1bad', 'aws-x'])
    got = ssm.unlabel_parameter_version(Name=r + '/47', ParameterVersion=1, Labels=['ok', 'none'])
    same((got['RemovedLabels'], got['InvalidLabels']), (['ok'], ['none']))
    refused('ValidationException', lambda: ssm.unlabel_parameter_version(Name=r + '/47', Labels=['ok']))
    refused('ParameterVersionNotFound', lambda: ssm.label_parameter_version(Name=r + '/47', ParameterVersion=9, Labels=['x']))
    ssm.label_parameter_version(Name=r + '/47', Labels=['l%d' % i for i in range(10)])
    refused('ParameterVersionLabelLimitExceeded', lambda: ssm.label_parameter_version(Name=r + '/47', Labels=['l10']))


def b48():
    refused('ParameterNotFound', lambda: ssm.delete_parameter(Name=r + '/48'))
    put(r + '/48', 'x')
    got = ssm.delete_parameters(Names=[r + '/48', r + '/48none'])
    same((got['DeletedParameters'], got['InvalidParameters']), ([r + '/48'], [r + '/48none']))


def b49():
    def on(name, **kw):
        return ssm.add_tags_to_resource(**{'ResourceType': 'Parameter', 'ResourceId': name, 'Tags': [{'Key': 'a', 'Value': 'b'}], **kw})
    refused('InvalidResourceId', lambda: on(r + '/49'))
    put(r + '/49', 'x')
    refused('InvalidResourceType', lambda: on(r + '/49', ResourceType='Document'))
    on(r + '/49')
    refused('TooManyTagsError', lambda: on(r + '/49', Tags=[{'Key': 'k%d' % i, 'Value': 'x'} for i in range(50)]))
    ssm.remove_tags_from_resource(ResourceType='Parameter', ResourceId=r + '/49', TagKeys=['none'])
    same(ssm.list_tags_for_resource(ResourceType='Parameter', ResourceId=r + '/49')['TagList'], [{'Key': 'a', 'Value': 'b'}])


def altered(request):
    request.body = request.body.replace(b'/a', b'/b')


def rescoped(request):
    request.headers['Authorization'] = request.headers['Authorization'].decode().replace('/ssm/', '/kms/') if isinstance(request.headers['Authorization'], bytes) else request.headers['Authorization'].replace('/ssm/', '/kms/')


behaviours = {
    1: lambda: refused('UnknownOperationException', lambda: client(alter=dropped('X-Amz-Target')).get_parameter(Name=r)),
    2: lambda: refused('SerializationException', lambda: client(alter=body('{"Name":')).get_parameter(Name=r)),
    3: lambda: refused('MissingAuthenticationTokenException', lambda: client(change=dropped('Authorization')).get_parameter(Name=r)),
    4: lambda: refused('InvalidSignatureException', lambda: client(aws_access_key_id=os.environ['AWS_ACCESS_KEY_ID'], aws_secret_access_key='another').get_parameter(Name=r)),
    5: lambda: refused('UnrecognizedClientException', lambda: client(aws_access_key_id='AKIAABCDEFGHIJKLMNOP', aws_secret_access_key='x').get_parameter(Name=r)),
    6: lambda: refused('InvalidSignatureException', lambda: client(change=rescoped).get_parameter(Name=r), 'ssm'),
    7: lambda: refused('InvalidSignatureException', lambda: client(change=altered).get_parameter(Name=r + '/a')),
    8: b8, 9: b9, 10: b10, 11: b11, 12: b12,
    13: lambda: same(put(r + '/13', 'x', Overwrite=True)['Version'], 1),
    14: b14,
    15: lambda: refused('ValidationException', lambda: ssm.put_parameter(Name=r + '/15', Value='x'), 'A parameter type is required when you create a parameter.'),
    16: b16, 17: b17, 18: b18, 19: b19,
    20: lambda: refused('ValidationException', lambda: put('a/b', 'x'), 'fully qualified'),
    21: lambda: refused('ValidationException', lambda: put(r + '/21', '')),
    22: b22, 23: b23, 24: b24,
    25: lambda: refused('ValidationException', lambda: put(r + '/25', 'x{{ssm:y}}')),
    26: b26, 27: b27, 28: b28, 29: b29,
    30: lambda: refused('InvalidKeyId', lambda: put(r + '/30', 'x', Type='SecureString', KeyId='alias/else')),
    31: b31, 32: b32, 33: b33, 34: b34, 35: b35, 36: b36,
    37: lambda: refused('ValidationException', lambda: ssm.get_parameters(Names=['/a'] * 11), "at 'names' failed to satisfy constraint: Member must have length less than or equal to 10"),
    38: b38, 39: b39, 40: b40,
    41: lambda: refused('InvalidNextToken', lambda: by_path(r, NextToken='else')),
    42: b42,
    43: lambda: refused('ValidationException', lambda: by_path(r, MaxResults=11), 'less than or equal to 10'),
    44: b44, 45: b45, 46: b46, 47: b47, 48: b48, 49: b49,
}

only = os.environ.get('ONLY')
for n in [int(x) for x in only.split(',')] if only else behaviours:
    error, id = '', ''
    try:
        id = behaviours[n]() or ''
    except Exception:
        error = traceback.format_exc()
    print(json.dumps({'n': n, 'error': error, 'id': id if isinstance(id, str) else ''}), flush=True)
