# boto3's kms and sts: all that they can do with one key, and what was wrong in one line.
import json, os, traceback
import boto3
from botocore.exceptions import ClientError

endpoint, key, disabled = os.environ['ENDPOINT'], os.environ['KEY'], os.environ['DISABLED']
kms = boto3.client('kms', endpoint_url=endpoint)


def refused(code, do):
    try:
        got = do()
    except ClientError as e:
        assert e.response['Error']['Code'] == code and e.response['Error']['Message'], f'{e}, want {code}'
        assert not hasattr(kms.exceptions, code) or isinstance(e, getattr(kms.exceptions, code)), code
        return
    raise AssertionError(f'not refused with {code} but {got}')


error = ''
try:
    ctx = {'b': '2', 'a': '1'}
    sealed = kms.encrypt(KeyId='alias/judge', Plaintext=b'plain', EncryptionContext=ctx)
    blob = sealed['CiphertextBlob']
    assert sealed['KeyId'].endswith(':key/' + key), sealed
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={'a': '1', 'b': '2'})['Plaintext'] == b'plain'
    refused('InvalidCiphertextException', lambda: kms.decrypt(CiphertextBlob=blob))
    refused('IncorrectKeyException', lambda: kms.decrypt(CiphertextBlob=blob, EncryptionContext=ctx, KeyId=disabled))
    refused('NotFoundException', lambda: kms.encrypt(KeyId='alias/none', Plaintext=b'x'))
    refused('DisabledException', lambda: kms.encrypt(KeyId=disabled, Plaintext=b'x'))
    data = kms.generate_data_key(KeyId=sealed['KeyId'], KeySpec='AES_256')
    assert len(data['Plaintext']) == 32 and kms.decrypt(CiphertextBlob=data['CiphertextBlob'])['Plaintext'] == data['Plaintext']
    assert 'Plaintext' not in kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=64)
    again = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=ctx, DestinationKeyId=key, DestinationEncryptionContext={'c': '3'})
    assert kms.decrypt(CiphertextBlob=again['CiphertextBlob'], EncryptionContext={'c': '3'})['Plaintext'] == b'plain'
    m = kms.describe_key(KeyId='alias/judge')['KeyMetadata']
    assert m['KeyId'] == key and m['Enabled'] and m['KeyState'] == 'Enabled', m
    assert [a['AliasName'] for p in kms.get_paginator('list_aliases').paginate(PaginationConfig={'PageSize': 1}) for a in p['Aliases']] == ['alias/judge']
    me = boto3.client('sts', endpoint_url=endpoint).get_caller_identity()
    assert me['Arn'].startswith('arn:aws:iam::' + m['AWSAccountId']) and me['Account'] == m['AWSAccountId'] and me['UserId'] == os.environ['AWS_ACCESS_KEY_ID'], me
    try:
        boto3.client('sts', endpoint_url=endpoint, aws_secret_access_key='another', aws_access_key_id=os.environ['AWS_ACCESS_KEY_ID']).get_caller_identity()
        raise AssertionError('let in with another secret')
    except ClientError as e:
        assert e.response['Error']['Code'] == 'SignatureDoesNotMatch', e
except Exception:
    error = traceback.format_exc()
print(json.dumps({'error': error}), flush=True)
