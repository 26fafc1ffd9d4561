"""Faults against what is promised of contents, names, identity and order."""

from tests.planted.fault import NODE, UNIT, fault

PROMISE_FAULTS = (
    # Promises of manifests, listings, names and files.
    fault(
        "a reply is taken from another node than the one asked",
        "node/scheduling/scheduler.py",
        "if request is not None and request.node == node else",
        "if request is not None else",
        NODE + "scheduling",
    ),
    fault(
        "a manifest may be spelled in several ways",
        "protocol/manifest.py",
        "    if encode(manifest) != data:\n",
        "    if not data:\n",
        UNIT + "protocol/test_manifest.py",
    ),
    fault(
        "a manifest's chunks need not add up",
        "protocol/manifest.py",
        "if sum(sizes) != self.stream_bytes:",
        "if sum(sizes) < 0:",
        UNIT + "protocol/test_manifest.py",
    ),
    fault(
        "a listing may be that of another tree",
        "node/staging/staged_tree.py",
        "if listing.size_bytes != self.manifest.size_bytes:",
        "if listing.size_bytes < 0:",
        NODE + "staging",
    ),
    fault(
        "a listing's paths are not checked",
        "protocol/listing.py",
        "    _check_paths(paths, check)\n",
        "",
        UNIT + "protocol/test_listing.py",
    ),
    fault(
        "a listing's links are not checked",
        "protocol/listing.py",
        "if not is_inside(path.decode(), target.decode()):",
        "if not target:",
        UNIT + "protocol/test_listing.py",
    ),
    fault(
        "our own folder can be shared under another spelling",
        "protocol/names.py",
        'if text.split("/", 1)[0].casefold() == RESERVED_FOLDER:',
        'if text.split("/", 1)[0] == RESERVED_FOLDER:',
        UNIT + "protocol/test_names.py",
    ),
    fault(
        "the cache is trusted when a file has changed",
        "node/folder/cache.py",
        '" WHERE name = ? AND signature = ?", (name,',
        '" WHERE name = ? AND ? NOT NULL", (name,',
        NODE + "folder/test_cache.py",
    ),
    fault(
        "the cache's bytes are not verified",
        "node/folder/cache.py",
        "return data if blake3(data).digest() == digest else None",
        "return data",
        NODE + "folder/test_cache.py",
    ),
    fault(
        "a time that was set back hides a change",
        "node/folder/cache.py",
        'int(gone)) if ctime in {"", now}:',
        "int(gone)):",
        NODE + "folder/test_cache.py",
    ),
    fault(
        "what may be replaced is not looked at again",
        "node/staging/spare.py",
        "return file is not None and self._states.fits(file)(status)",
        "return file is not None",
        NODE + "staging/test_spare.py",
    ),
    fault(
        "a file of a tree appears before all its bytes are there",
        "node/staging/tree_in_place.py",
        "            return self._left[file] == 0\n",
        "            return self._left[file] >= 0\n",
        NODE + "staging",
    ),
    fault(
        "wrong files of a tree in place stay",
        "node/staging/staged_tree.py",
        "wrong = self._in_place.take_back(self._plan.files_in(missing))",
        "wrong = self._in_place.take_back(self._plan.files_in([]))",
        NODE + "staging",
    ),
    fault(
        "a damaged file of rules counts as none",
        "node/folder/rules.py",
        '            raise OperatorError(f"{message}; {remedy}") from None\n\n    def _save',
        "            return {}\n\n    def _save",
        NODE + "folder/test_rules.py",
    ),
    fault(
        "a full disk is found out in the middle of a fetch",
        "node/staging/staged_file.py",
        "require_room(self._place, self._bytes_of(self.needed & ~zeros) - allocated_bytes)",
        "pass",
        NODE + "staging",
    ),
    # Identity, order and honesty.
    fault(
        "updates of an earlier start count",
        "broker/tracking/announcements.py",
        "return request.epoch == known.epoch and",
        "return",
        UNIT + "broker",
    ),
    fault(
        "an update that was overtaken counts",
        "broker/tracking/announcements.py",
        "known.epoch and request.sequence <= known.sequence",
        "known.epoch and request.sequence == known.sequence",
        UNIT + "broker",
    ),
    fault(
        "an older process of a node is believed",
        "broker/tracking/announcements.py",
        "if request.epoch < known.epoch:",
        "if request.epoch < 0:",
        UNIT + "broker",
    ),
    fault(
        "a second node takes the name of a live one",
        "broker/tracking/announcements.py",
        "        if address != known.address:\n",
        "        if not address:\n",
        UNIT + "broker",
    ),
    fault(
        "a node of another start is renewed",
        "broker/tracking/announcements.py",
        "member.epoch != request.epoch or member.left or (self.shares",
        "member.left or (self.shares",
        UNIT + "broker",
    ),
    fault(
        "changes are saved after the answer",
        "broker/server.py",
        (
            "        is_saved = self._saver.save(changes, now)\n"
            "        for letter, reply, promises in replies:\n"
            "            if not listener.send(letter, reply if is_saved or not promises "
            "else self._not_saved):\n"
            '                self._counters["dropped_replies"] += 1\n'
        ),
        (
            "        for letter, reply, _ in replies:\n"
            "            if not listener.send(letter, reply):\n"
            '                self._counters["dropped_replies"] += 1\n'
            "        self._saver.save(changes, now)\n"
        ),
        "tests/integration/test_tracker.py", "tests/integration/test_tracker_faults.py",
    ),
    fault(
        "a partial holder is loaded as a whole one",
        "broker/rows.py",
        "node.node, holder.flag == 1)",
        "node.node, holder.flag >= 0)",
        UNIT + "broker",
    ),
    fault(
        "two nodes publish different contents as one version",
        "broker/tracking/claims.py",
        "if newest is None or newest.published.number < claimed:",
        "if newest is None or newest.published.number <= claimed:",
        UNIT + "broker",
    ),
    fault(
        "a damaged journal is believed",
        "broker/salvage.py",
        "if frame_salts != salts or sums != (first, second) or not number:",
        "if frame_salts != salts or not number:",
        UNIT + "broker/test_salvage.py",
    ),
    fault(
        "a node may be sent to services of its own machine",
        "protocol/addresses.py",
        "all(is_loopback(own) and port != taken for own, taken in places)",
        "all(port != taken for own, taken in places)",
        UNIT + "protocol/test_addresses.py",
    ),
    fault(
        "chunks are served that are not here",
        "node/serving/server.py",
        "        if not gives >> index & 1:\n",
        "        if index < 0:\n",
        NODE + "serving",
    ),
    fault(
        "a request that failed is never answered",
        "node/serving/server.py",
        "                return [steps.SendReply(number, _BUG)]\n",
        "                return []\n",
        NODE + "serving",
    ),
    fault(
        "another version is reported as this one",
        "node/agent.py",
        "if whole is not None and content_id in {None, whole.id}:",
        "if whole is not None:",
        NODE + "test_agent.py",
    ),
    fault(
        "the last copy is given up on a node's word",
        "node/network/witness.py",
        "return sent == index and digest == thing.manifest.digest(index) and not have",
        "return sent == index and not have",
        NODE + "network/test_witness.py",
    ),
    fault(
        "a busy holder is asked again at once",
        "node/fetching/gathering.py",
        "                self.scheduler.is_busy(node, now)\n",
        "                pass\n",
        NODE + "fetching", NODE + "scheduling",
    ),
    fault(
        "duplicates of chunks are written again",
        "node/fetching/gathering.py",
        "if not came:\n            self._tally.duplicate_chunks",
        "if came < 0:\n            self._tally.duplicate_chunks",
        NODE + "fetching",
    ),
)  # fmt: skip
