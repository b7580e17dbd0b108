"""The Python package sbe, reading trade.xml, against our codec: both write the same bytes for the same values, and read them.

sbe.json has values and bytes. Here the package must write and read them so; tests/actors/sbe.rs asks the same of ours.
Then it talks to the gateway example: orders come back as trades, and the table must add up. `python_sbe.py --write` writes the vectors.
"""
import asyncio
import json
import pathlib
import random
import struct
import sys

import lxml.etree
import sbe
import websockets

here = pathlib.Path(__file__).parent
schema_path = here / "../../actors/src/sbe/trade.xml"
vectors_path = here / "sbe.json"


def schema(version):
    """The schema as it was at this version: without what came later."""
    tree = lxml.etree.parse(str(schema_path))
    for message in tree.iter("{*}message"):
        for field in [f for f in message if int(f.get("sinceVersion", 0)) > version]:
            message.remove(field)
            del message.attrib["blockLength"]
    path = here / f"../../target/clients/trade-{version}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    tree.write(str(path), xml_declaration=True, encoding="UTF-8")
    with open(path, "rb") as file:
        return sbe.Schema.parse(file)


schemas = {version: schema(version) for version in (0, 1)}
templates = {message.name: message.id for message in schemas[1].messages.values()}
BLOCKS = {("Trade", 0): 21, ("Trade", 1): 23, ("Order", 0): 22, ("Position", 0): 21}


def encode(name, version, values):
    ours = schemas[version]
    header = {"version": version, "blockLength": BLOCKS[name, version]}
    return ours.encode(ours.messages[templates[name]], values, header)


def decode(data):
    version = struct.unpack_from("<H", data, 6)[0]
    message = schemas[version].decode(data)
    return message.message_name, version, message.value


def some(name, version, rng):
    price = rng.choice([0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308, rng.uniform(-1e6, 1e6), 100.5])
    symbol = chr(rng.randint(33, 126))
    if name == "Position":
        account, quantity = rng.choice([0, 2**32 - 2, rng.getrandbits(31)]), rng.choice([-(2**63) + 1, 2**63 - 1, -1, 0])
        return {"account": account, "symbol": symbol, "quantity": quantity, "average_price": price}
    number = rng.choice([0, 1, 2**63, 2**64 - 2, rng.getrandbits(63)])
    quantity = rng.choice([0, 1, 2**31, 2**32 - 2, rng.getrandbits(31)])
    if name == "Order":
        side = rng.choice(["Buy", "Sell"])
        return {"order_id": number, "symbol": symbol, "side": side, "price": price, "quantity": quantity}
    values = {"trade_id": number, "symbol": symbol, "price": price, "quantity": quantity}
    return values | ({"venue": rng.choice([0, 1, 65534])} if version == 1 else {})


def write_vectors():
    rng = random.Random(6)
    lines = []
    for name, version in BLOCKS:
        for _ in range(25):
            values = some(name, version, rng)
            vector = {"message": name, "version": version, "values": values, "bytes": encode(name, version, values).hex()}
            lines.append(json.dumps(vector))
    vectors_path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def check_vectors():
    vectors = json.loads(vectors_path.read_text())
    assert len(vectors) == 25 * len(BLOCKS)
    for vector in vectors:
        name, version, values, data = vector["message"], vector["version"], vector["values"], bytes.fromhex(vector["bytes"])
        assert encode(name, version, values) == data, vector
        assert decode(data) == (name, version, values), vector
    return len(vectors)


async def check_gateway(address):
    rng = random.Random()
    trades = volume = 0
    async with websockets.connect(f"{address}/trades") as client, websockets.connect(f"{address}/table") as table:
        for n in range(100):
            order = some("Order", 0, rng) | {"price": rng.uniform(0.01, 1e6), "quantity": rng.randint(1, 1000)}
            await client.send(encode("Order", 0, order))
            name, version, trade = decode(await client.recv())
            assert (name, version) == ("Trade", 0), (name, version)
            expected = {"trade_id": order["order_id"]} | {field: order[field] for field in ("symbol", "price", "quantity")}
            assert trade == expected, (trade, expected)
            trades, volume = trades + 1, volume + order["quantity"]
            # One, or several that are packed, of either version.
            version, count = rng.randint(0, 1), rng.choice([1, 2, 64])
            packed = [some("Trade", version, rng) for _ in range(count)]
            await client.send(b"".join(encode("Trade", version, trade) for trade in packed))
            trades, volume = trades + count, volume + sum(trade["quantity"] for trade in packed)
        while True:
            rows = json.loads(await asyncio.wait_for(table.recv(), 20))
            found = sum(row["trades"] for row in rows), sum(row["volume"] for row in rows)
            assert found[0] <= trades, (found, trades)
            if found[0] == trades:
                assert found[1] == volume, (found, volume)
                return trades


if sys.argv[1] == "--write":
    write_vectors()
else:
    vectors = check_vectors()
    trades = asyncio.run(check_gateway(sys.argv[1]))
    print(f"sbe (python): {vectors} messages written and read alike, {trades} trades through the gateway")
