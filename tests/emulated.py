"""Deploys template.yaml to an emulator of AWS on this machine, and reads what the functions printed there.

    emulated.py deploy STACK BINARIES WORK [NAME=VALUE...]  prints the stack's outputs as one JSON object
    emulated.py read STACK QUEUE on|off                     has its function read a queue, or not
    emulated.py scan STACK MILLISECONDS                     moves all that is due so much nearer, and runs scan-people
    emulated.py logs STACK                                  prints the last lines of every function

BINARIES holds one native program for each function, named as in the template. Nothing is built, and nothing in the
template changes but where the code lies and what is said at BATCH and CONCURRENCY. The secrets are made with the values that the tests
know.
"""

import json
import os
import pathlib
import subprocess
import sys
from urllib.parse import urlparse

import boto3
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECRETS = {
    "trefoil/intercom-client-secret": "client-secret-of-the-tests",
    "trefoil/intercom-access-token": "access-token-of-the-tests",
    "trefoil/customerio-site-id": "site-id-of-the-tests",
    "trefoil/customerio-api-key": "api-key-of-the-tests",
    "trefoil/customerio-app-api-key": "app-api-key-of-the-tests",
    "trefoil/customerio-signing-keys": "reporting-key-of-the-tests,actions-key-of-the-tests",
    "trefoil/segment-shared-secret": "segment-secret-of-the-tests",
    "trefoil/pipelines-shared-secret": "pipelines-secret-of-the-tests",
    "trefoil/segment-write-key": "write-key-of-the-tests",
}

# On AWS the permission for an action is the one for its batch, which has no action of its own in IAM; the emulator asks
# for one. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html
BATCH = {f"sqs:{action}": f"sqs:{action}Batch" for action in ("SendMessage", "ChangeMessageVisibility", "DeleteMessage")}

# A parameter is text to the emulator, and where the queue is not FIFO it compares the text with a number, so that from then
# on no queue at all is read.
CONCURRENCY = 10

if urlparse(os.environ.get("AWS_ENDPOINT_URL", "")).hostname != "127.0.0.1":
    sys.exit("AWS_ENDPOINT_URL does not name an emulator on 127.0.0.1")


def stage(binaries, work):
    """What `sam build` leaves, without building."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            folder = work / binary
            # Two functions may be one program.
            if not folder.exists():
                folder.mkdir()
                (folder / "bootstrap").symlink_to(binaries / binary)
            resource["Properties"]["CodeUri"] = str(folder)
            for event in resource["Properties"].get("Events", {}).values():
                if "ScalingConfig" in event["Properties"]:
                    event["Properties"]["ScalingConfig"]["MaximumConcurrency"] = CONCURRENCY
        if resource["Type"] == "AWS::IAM::Role":
            for statement in (s for p in resource["Properties"]["Policies"] for s in p["PolicyDocument"]["Statement"]):
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                statement["Action"] = actions + [BATCH[action] for action in actions if action in BATCH]
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = str(ROOT / resource["Properties"]["ContentUri"])
    path = work / "template.json"
    path.write_text(json.dumps(template))
    return path


def deploy(stack, binaries, work, *parameters):
    secrets = boto3.client("secretsmanager")
    for name, value in SECRETS.items():
        secrets.create_secret(Name=name, SecretString=value)
    template = stage(pathlib.Path(binaries), pathlib.Path(work))
    sam = pathlib.Path(sys.executable).with_name("sam")
    command = [sam, "deploy", "--template-file", template, "--stack-name", stack, "--resolve-s3", "--no-progressbar"]
    command += ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--parameter-overrides", *parameters]
    subprocess.run(command, check=True, cwd=work, stdout=sys.stderr)
    (description,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    print(json.dumps({o["OutputKey"]: o["OutputValue"] for o in description["Outputs"]}))


def physical(stack, name):
    resource = boto3.client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=name)
    return resource["StackResourceDetail"]["PhysicalResourceId"]


def read(stack, queue, switch):
    arn = "arn:aws:sqs:us-east-1:000000000000:" + physical(stack, f"{queue}Queue").rsplit("/", 1)[1]
    client = boto3.client("lambda")
    (mapping,) = client.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=switch == "on")


def scan(stack, milliseconds):
    """Knows how wakes stand in the people table: `due` is a key of its index, and stands in `body` as well."""
    table = boto3.resource("dynamodb").Table(physical(stack, "PeopleTable"))
    for wake in table.scan(IndexName="due")["Items"]:
        body = json.loads(wake["body"])
        body["due"] -= int(milliseconds)
        table.put_item(Item={**wake, "due": body["due"], "body": json.dumps(body)})
    answer = boto3.client("lambda").invoke(FunctionName=physical(stack, "ScanPeople"))
    if "FunctionError" in answer:
        sys.exit(answer["Payload"].read())


def logs(stack):
    client = boto3.client("logs")
    for group in client.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{stack}-")["logGroups"]:
        events = client.filter_log_events(logGroupName=group["logGroupName"])["events"]
        print(f"--- {group['logGroupName']}")
        noise = ("START RequestId", "END RequestId", "REPORT RequestId")
        print("\n".join([e["message"] for e in events if not e["message"].startswith(noise)][-30:]))


{"deploy": deploy, "read": read, "scan": scan, "logs": logs}[sys.argv[1]](*sys.argv[2:])
