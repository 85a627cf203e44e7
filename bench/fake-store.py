"""
What bench/fake-store.ts starts: standard input is the block of which each part of each object is to have one or two. Prints its
port, then a line for each request that it refused. In Python, since that reads from a socket into memory it has, where Node makes new buffers.
"""
import hashlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
import re

BLOCK = sys.stdin.buffer.read()
# Of a part, by its size.
DIGESTS = {count * len(BLOCK): hashlib.md5(BLOCK * count).hexdigest() for count in (1, 2)}
SHA256S = {count * len(BLOCK): hashlib.sha256(BLOCK * count).hexdigest() for count in (1, 2)}
STEP = 1 << 20
RULE = '<ID>fake</ID><Status>Enabled</Status><Filter><Prefix/></Filter><Expiration><Days>1</Days></Expiration>'
LIFECYCLE = f'<LifecycleConfiguration><Rule>{RULE}</Rule></LifecycleConfiguration>'
BEGUN = '<Bucket>fake</Bucket><Key>fake</Key><UploadId>fake</UploadId>'
BEGUN = f'<InitiateMultipartUploadResult>{BEGUN}</InitiateMultipartUploadResult>'


class Store(BaseHTTPRequestHandler):
    """The calls of a download through staging, as S3's API reference has them."""

    protocol_version = 'HTTP/1.1'

    def log_message(self, *words):
        pass

    def answer(self, status, text='', etag=None):
        if status >= 400:
            print(f'{self.command} {self.path.split("X-Amz")[0]}: {text}', flush=True)
        self.send_response(status)
        if etag:
            self.send_header('ETag', f'"{etag}"')
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def words(self):
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def do_PUT(self):
        """A part: every byte is held against the one that it should be, and the digest that it was signed with against theirs."""
        size = int(self.headers['Content-Length'])
        signed = self.headers.get('x-amz-content-sha256', 'UNSIGNED-PAYLOAD')
        if size < STEP:
            is_same = signed == hashlib.sha256(self.rfile.read(size)).hexdigest()
            return self.answer(200) if is_same else self.refuse_digest()
        if 'partNumber' not in self.words() or size not in DIGESTS:
            self.close_connection = True
            return self.answer(501, f'{size} bytes')
        wanted, room, is_same = memoryview(BLOCK), bytearray(STEP), True
        for begun in range(0, size, STEP):
            if self.rfile.readinto(room) != STEP:
                self.close_connection = True
                return None
            at = begun % len(BLOCK)
            is_same = is_same and room == wanted[at : at + STEP]
        if not is_same:
            return self.answer(400, 'other bytes than those of the file')
        return self.answer(200, '', DIGESTS[size]) if signed in ('UNSIGNED-PAYLOAD', SHA256S[size]) else self.refuse_digest()

    def refuse_digest(self):
        """A mover that asks whether digests are held has this answer once."""
        text = '<Error><Code>XAmzContentSHA256Mismatch</Code></Error>'
        self.send_response(400)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self):
        """The beginning and the end of an upload; the ETag of an object is the MD5 of the MD5s of its parts."""
        said = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        if 'uploads' in self.words():
            return self.answer(200, BEGUN)
        named = re.findall(r'<ETag>(?:"|&quot;)?([0-9a-f]+)', said)
        if not named or not set(named) <= set(DIGESTS.values()):
            return self.answer(400, f'parts that were not answered: {said}')
        etag = f'{hashlib.md5(bytes.fromhex("".join(named))).hexdigest()}-{len(named)}'
        return self.answer(200, f'<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>')

    def do_GET(self):
        words = self.words()
        if 'lifecycle' in words:
            return self.answer(200, LIFECYCLE)
        return self.answer(200, '<ListMultipartUploadsResult/>') if 'uploads' in words else self.answer(501, 'not known')

    def do_HEAD(self):
        self.answer(200)

    def do_DELETE(self):
        self.answer(204)


server = ThreadingHTTPServer(('127.0.0.1', 0), Store)
print(server.server_address[1], flush=True)
server.serve_forever()
