"""All planted faults: what the code says, what is put there instead, and the tests that see it."""

from tests.planted.disk import DISK_FAULTS
from tests.planted.fault import NODE, UNIT, Fault, fault
from tests.planted.guests import GUEST_FAULTS
from tests.planted.keys import KEY_FAULTS
from tests.planted.pages import PAGE_FAULTS
from tests.planted.promises import PROMISE_FAULTS
from tests.planted.several import SEVERAL_FAULTS

FAULTS = (
    *DISK_FAULTS,
    *PROMISE_FAULTS,
    *KEY_FAULTS,
    *PAGE_FAULTS,
    *SEVERAL_FAULTS,
    *GUEST_FAULTS,
    # Wrong bytes.
    fault(
        "chunk digest is not checked",
        "node/fetching/gathering.py",
        "reply.size_bytes == thing.chunk_size(index) and reply.digest == thing.digest(index)",
        "reply.size_bytes == thing.chunk_size(index)",
        NODE + "fetching",
    ),
    fault(
        "any chunk is taken for the one requested",
        "node/fetching/gathering.py",
        "if reply.index != index:",
        "if reply.index < 0:",
        NODE + "fetching",
    ),
    fault(
        "the tracker's id is taken for the manifest's",
        "node/fetching/manifest_requests.py",
        "if expected not in {None, id_of(data)}:",
        "if expected is not None and len(data) == 0:",
        NODE + "fetching",
    ),
    fault(
        "what was staged before is trusted",
        "node/staging/staged_file.py",
        "return verified_chunks(read, self.manifest, list(bitmap.indices(candidates)))",
        "return candidates",
        NODE + "staging",
    ),
    fault(
        "a changed file is sent as it was hashed",
        "node/files/signature.py",
        "is_as_known = was_as_known and fits(os.fstat(descriptor))\n    finally:\n"
        "        os.close(descriptor)\n    if not is_as_known or len(data) != size_bytes:",
        "is_as_known = was_as_known or True\n    finally:\n"
        "        os.close(descriptor)\n    if not is_as_known or len(data) != size_bytes:",
        NODE + "files",
    ),
    fault(
        "reused chunks are not verified",
        "node/staging/reuse.py",
        "            if blake3(data).digest() == whole.manifest.digest(index):\n",
        "            if data:\n",
        NODE + "staging",
    ),
    # Early, lost or replaced.
    Fault(
        "published after a write that failed",
        "node/staging/intake.py",
        (
            (
                (
                    "self._behind.settle()\n            if self._trouble is not None:\n"
                    "                return self._trouble\n            if self._staged.needed"
                ),
                "if self._staged.needed",
            ),
            (
                "self._staged.write(index, payload)\n            self._have |= 1 << index",
                "self._have |= 1 << index\n            self._staged.write(index, payload)",
            ),
        ),
        (NODE + "staging",),
    ),
    fault(
        "published with a chunk missing",
        "node/staging/intake.py",
        "if self._staged.needed & ~self._have:",
        "if self._staged is None:",
        NODE + "staging",
    ),
    fault(
        "no fsync before the rename",
        "node/staging/staged_file.py",
        "        sync_file(self._descriptor)\n",
        "",
        NODE + "staging",
    ),
    fault(
        "no fsync of the directory",
        "node/files/placing.py",
        "            os.fsync(directory)\n",
        "            pass\n",
        NODE + "files",
        NODE + "staging",
    ),
    fault(
        "rules are not durable",
        "node/folder/rules.py",
        "            os.fsync(file.fileno())\n",
        "",
        NODE + "folder/test_rules.py",
    ),
    # Requests and replies.
    fault(
        "the request's id is ignored",
        "wire/tracker_client.py",
        'case [tag, b"", body] if tag == self._tag:',
        'case [tag, b"", body]:',
        UNIT + "wire",
    ),
    fault(
        "the tracker forgets the reply on an error",
        "broker/server.py",
        'return _failed(WireCode.INTERNAL, "the tracker failed; see its log")',
        "raise",
        "tests/integration/test_tracker_faults.py",
    ),
    fault(
        "a listener stops reading when its queue is full",
        "wire/listener.py",
        "        router.set_hwm(0)\n",
        "        router.set_hwm(64)\n",
        UNIT + "wire",
    ),
    fault(
        "nobody looks how much a connection takes",
        "wire/connections.py",
        "                if total <= most_bytes:\n",
        "                if total >= 0:\n",
        UNIT + "wire",
    ),
    fault(
        "one who does not read keeps others from being served",
        "node/serving/waiting.py",
        "elif not self._pacing.may_have(arrived.source, now):",
        "elif False:",
        NODE + "serving",
    ),
    fault(
        "many connections of one host get more than one of another",
        "protocol/rota.py",
        "            self._costs[key] += cost\n",
        "",
        UNIT + "protocol",
        NODE + "serving",
    ),
    fault(
        "replies of any size are taken in",
        "wire/sockets.py",
        "    sock.setsockopt(zmq.MAXMSGSIZE, MAX_CHUNK_BYTES + FRAME_SLACK_BYTES)\n",
        "",
        UNIT + "wire",
    ),
    fault(
        "the tracker waits for clients that do not read",
        "wire/frames.py",
        "_NOW_AND_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)",
        "_NOW_AND_MORE = int(zmq.SNDMORE)",
        UNIT + "wire",
    ),
    fault(
        "a message's nesting and count are not limited",
        "protocol/codec.py",
        "if self._count > self._most:",
        "if self._count > self._most * self._most:",
        UNIT + "protocol",
    ),
    # Holders.
    fault(
        "liars are not banned",
        "node/fetching/roster.py",
        "            self._banned[node] = trouble.reason\n",
        "            pass\n",
        NODE + "fetching",
    ),
    fault(
        "holders whose lease has expired are handed out",
        "broker/tracking/answers.py",
        "(with_lease if has_lease(node) else without).append(node)",
        "with_lease.append(node)",
        UNIT + "broker",
    ),
    fault(
        "an overfull holder goes on accepting",
        "node/serving/server.py",
        "if self._pacing.is_overfull:",
        "if self._pacing is None:",
        NODE + "serving",
    ),
    # Versions and state.
    fault(
        "the newest version is the last that arrived",
        "broker/tracking/catalogue.py",
        "return self.published.number, -self.order",
        "return 0, self.order",
        UNIT + "broker",
    ),
    fault(
        "changes are answered and never saved",
        "broker/server.py",
        "is_saved = self._saver.save(changes, now)\n",
        "is_saved = True\n",
        "tests/integration/test_tracker.py",
        "tests/integration/test_tracker_faults.py",
    ),
    fault(
        "a push is acknowledged though the disk refused it",
        "broker/server.py",
        "reply if is_saved or not promises else self._not_saved",
        "reply",
        "tests/integration/test_tracker.py",
    ),
    fault(
        "who comes into the cluster file hears of no push",
        "broker/tracking/state.py",
        "if initial.nodes != self.initial.nodes:",
        "if not initial.nodes:",
        UNIT + "broker/tracking/test_pushes.py",
    ),
    fault(
        "a lost update is not said again",
        "node/serving/announcer.py",
        "                self._announced[item.name, item.id] = None\n",
        "                pass\n",
        NODE + "serving",
    ),
    fault(
        "a tracker that lost the last moments is not told again",
        "node/serving/announcer.py",
        "self._epoch, count, self._sequence, self.token\n",
        "self._epoch, count, 0, self.token\n",
        NODE + "serving",
    ),
    fault(
        "a tracker that lost everything is not told again",
        "node/serving/announcer.py",
        "return count == len(self._announced) or not self._has_said_all",
        "return True",
        NODE + "serving",
    ),
    fault(
        "damaged rows are believed",
        "broker/rows.py",
        "zlib.crc32(ascii((table, *values, flag)).encode()) & _CHECKSUM",
        "7",
        UNIT + "broker",
    ),
    fault(
        "chunks that have come are requested again",
        "node/scheduling/wanted.py",
        "        self.missing &= ~came\n",
        "",
        NODE + "scheduling",
    ),
    # Killed, silent or slow.
    fault(
        "a silent holder keeps the last chunks",
        "node/scheduling/hedges.py",
        "return at if self.may_be(missing) else max(at, _silent_at(near, slow))",
        "return at if self.may_be(missing) else math.inf",
        NODE + "scheduling",
    ),
    fault(
        "what a fetch left that was killed at its end stays",
        "node/orders/sweeper.py",
        "        return is_whole and not self._home.rules.heals_from(one.id)",
        "        return not is_whole and not self._home.rules.heals_from(one.id)",
        NODE + "orders/test_sweeper.py",
    ),
    fault(
        "a slow link's queue ends connections",
        "wire/sockets.py",
        "UNACKNOWLEDGED_DATA_MS = 30_000",
        "UNACKNOWLEDGED_DATA_MS = 15_000",
        UNIT + "wire",
    ),
    fault(
        "who cannot use what it is offered waits for ever",
        "node/serving/demand.py",
        "return everything if self._refusals[request.node] > MOST_REFUSALS else unserved",
        "return unserved",
        NODE + "serving",
    ),
    fault(
        "holders that wait for each other keep a fetch from the newer version",
        "node/fetching/download.py",
        "(roster.is_alone or roster.is_hoping or is_stalled)",
        "(roster.is_alone or roster.is_hoping)",
        NODE + "fetching",
    ),
    fault(
        "a late answer of the tracker ends each poll",
        "wire/tracker_client.py",
        "while frames.has_mail(self.socket):",
        "while self.is_waiting and frames.has_mail(self.socket):",
        UNIT + "wire",
    ),
    fault(
        "a title that the disk refuses is forgotten",
        "node/folder/cache.py",
        "            self._unsaved[name] = title\n",
        "            self._unsaved = {name: title}\n",
        NODE + "folder/test_cache.py",
    ),
    fault(
        "a file that the disk cannot read is left out",
        "node/files/unreadable.py",
        "PASSING |= {errno.EIO, ",
        "PASSING |= {",
        NODE + "folder/test_examining.py",
    ),
    fault(
        "a rollback that fails ends the tracker",
        "broker/sqlite_store.py",
        "        except sqlite3.Error:\n            self.close()",
        "        except sqlite3.Warning:\n            self.close()",
        UNIT + "broker/test_rollback.py",
    ),
    fault(
        "an impostor is believed",
        "broker/tracking/speakers.py",
        "if member.tokens.has(token) or not member.tokens.guard:",
        "if token or not member.tokens.guard:",
        UNIT + "broker/tracking",
    ),
    fault(
        "whoever asks takes anybody off",
        "broker/tracking/tracker.py",
        "not request.partial and self._speakers.may_take_off(request, asker)",
        "not request.partial",
        UNIT + "broker/tracking",
    ),
    fault(
        "a node speaks from anywhere",
        "broker/tracking/speakers.py",
        "addresses.are_one_host(host, asker.host):",
        "asker.host:",
        UNIT + "broker/tracking",
    ),
    fault(
        "a tree is read while another takes its place",
        "node/staging/staged_tree.py",
        "put_in_place(made, folder, name, may_go, self._moving(target))",
        "put_in_place(made, folder, name, may_go)",
        NODE + "staging/test_tree_publishing.py",
    ),
)  # fmt: skip
