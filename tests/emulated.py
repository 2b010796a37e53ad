"""Deploys template.yaml to an emulator of AWS on this machine, and reads what the functions printed there.

    emulated.py deploy STACK BINARIES WORK [NAME=VALUE...]  prints the stack's outputs as one JSON object
    emulated.py logs STACK                                  prints the last lines of every function

BINARIES holds one native program for each function, named as in the template. Nothing is built and nothing in the
template changes but where the code lies. The secrets are made with the values that the tests know.
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
}

if urlparse(os.environ.get("AWS_ENDPOINT_URL", "")).hostname != "127.0.0.1":
    sys.exit("AWS_ENDPOINT_URL does not name an emulator on 127.0.0.1")


def stage(binaries, work):
    """What `sam build` leaves, without building."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            folder = work / binary
            folder.mkdir()
            (folder / "bootstrap").symlink_to(binaries / binary)
            resource["Properties"]["CodeUri"] = str(folder)
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


def logs(stack):
    client = boto3.client("logs")
    for group in client.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{stack}-")["logGroups"]:
        events = client.filter_log_events(logGroupName=group["logGroupName"])["events"]
        print(f"--- {group['logGroupName']}")
        noise = ("START RequestId", "END RequestId", "REPORT RequestId")
        print("\n".join([e["message"] for e in events if not e["message"].startswith(noise)][-30:]))


{"deploy": deploy, "logs": logs}[sys.argv[1]](*sys.argv[2:])
