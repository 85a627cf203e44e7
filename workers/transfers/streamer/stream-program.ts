/**
 * One file over one WebSocket (RFC 6455), for the client of FirecREST's streamer (firecrest-streamer 0.0.21): Perl with
 * core modules, on the cluster. Who connects shows the secret in `Authorization: Bearer`; the first one who does is
 * served. The sender tells `{"type":"init","num_chunks","file_size"}`, sends the bytes, and `{"type":"eof","sha256_hash"}`.
 *
 * That client sends its last message as a binary one and looks only for a text, so: what is sent ends with a text, and
 * what is received is the file up to `file_size` and then the last message, of either kind. It speaks no TLS.
 *
 * Arguments: `send` or `receive`, file, partial file, bytes at most, seconds to wait, address to listen at, first and last
 * port. Standard input: the secret. Prints `listening <port>`, `connected`, and at a good end `bytes <n>`,
 * `took <seconds>` and `sha256 <hex>`. Exit codes are those of the movers.
 */
export const streamProgram = `
use strict; use warnings;
use Digest::SHA (); use IO::Select (); use IO::Socket::INET (); use MIME::Base64 (); use POSIX (); use Fcntl; use Time::HiRes ();
$| = 1;
my ($mode, $path, $part, $limit, $wait, $host, $first, $last) = @ARGV;
my $secret = <STDIN>;
chomp $secret;
my ($chunk, $chatter, $silence, $kids_max, $not_let_in) = (5 << 20, 65536, 300, 32, 99);
my ($socket, $buffer, $told, $since) = (undef, '', 0, 0);
$SIG{PIPE} = 'IGNORE';

sub give_up { my ($code, $why) = @_; print STDERR "$why\\n"; POSIX::_exit($code) }
sub broke_off { give_up(80, 'the connection to the client broke off') }

sub put {
  my $text = shift;
  for (my $at = 0; $at < length $text;) {
    my $sent = syswrite $socket, $text, length($text) - $at, $at;
    next if !defined $sent && $!{EINTR};
    broke_off() unless $sent;
    $at += $sent;
  }
}
sub frame {
  my ($kind, $body) = @_;
  my $size = length $body;
  my $length = $size < 126 ? pack('C', $size) : $size < 65536 ? pack('Cn', 126, $size) : pack('CQ>', 127, $size);
  put(pack('C', 0x80 | $kind) . $length);
  put($body);
}
sub end_with {
  my ($status, $reason) = @_;
  eval { local $SIG{ALRM} = sub { die }; alarm 10; frame(8, pack('n', $status) . $reason); alarm 0 };
}

sub want {
  my $bytes = shift;
  while (length $buffer < $bytes) {
    my $got = sysread $socket, $buffer, 1 << 20, length $buffer;
    next if !defined $got && $!{EINTR};
    broke_off() unless $got;
  }
}
sub take { my $bytes = shift; want($bytes); return substr $buffer, 0, $bytes, '' }
sub open_frame {
  alarm $silence;
  my ($head, $size) = unpack 'CC', take(2);
  my $masked = $size & 128;
  $size &= 127;
  $size = unpack 'n', take(2) if $size == 126;
  $size = unpack 'Q>', take(8) if $size == 127;
  return ($head & 15, $size, $masked ? take(4) : "\\0\\0\\0\\0");
}
sub unmask {
  my ($piece, $mask, $at) = @_;
  my $turned = substr $mask x 2, $at % 4, 4;
  return $piece ^ substr($turned x (length($piece) / 4 + 1), 0, length $piece);
}
# The next frame of data; what is said of the connection itself is answered.
sub data_frame {
  while (1) {
    my ($kind, $size, $mask) = open_frame();
    return ($size, $mask) if $kind < 3;
    broke_off() if $size > 125;
    my $body = unmask(take($size), $mask, 0);
    return (-1, length $body >= 2 ? unpack('n', $body) : 1005) if $kind == 8;
    frame(10, $body) if $kind == 9;
  }
}
sub message {
  my ($size, $mask) = data_frame();
  broke_off() if $size < 0 || $size > $chatter;
  return unmask(take($size), $mask, 0);
}

sub progress {
  my $bytes = shift;
  return if time == $told;
  $told = time;
  if (open my $note, '>', 'done.new') { print $note "0 $bytes\\n"; close $note; rename 'done.new', 'done' }
}
sub finish { my ($bytes, $sum) = @_; printf "bytes %d\\ntook %.2f\\nsha256 %s\\n", $bytes, Time::HiRes::time() - $since, $sum; POSIX::_exit(0) }

sub receive {
  my $init = message();
  my ($size) = $init =~ /"file_size"\\s*:\\s*(\\d{1,15})\\b/ or give_up(76, 'the client did not say what it sends');
  if ($size > $limit) {
    end_with(1009, "Inbound transfer limit exceeded, max allowed transfer size: $limit bytes.");
    give_up(81, "the file has $size bytes, more than the $limit that may be sent here");
  }
  unlink $part;
  sysopen my $file, $part, O_CREAT | O_EXCL | O_WRONLY, 0666 or give_up(73, "$path: $!");
  my ($got, $digest) = (0, Digest::SHA->new(256));
  while ($got < $size) {
    my ($left, $mask) = data_frame();
    broke_off() if $left < 0;
    give_up(76, 'more bytes came than were announced') if $got + $left > $size;
    for (my $at = 0; $left > 0;) {
      want(1);
      my $take = length $buffer < $left ? length $buffer : $left;
      my $piece = unmask(substr($buffer, 0, $take, ''), $mask, $at);
      $digest->add($piece);
      for (my $done = 0; $done < $take;) {
        my $wrote = syswrite $file, $piece, $take - $done, $done;
        if (!defined $wrote) { my $why = "$!"; end_with(1011, '{"type":"error","error":"OSError"}'); give_up(73, "$path: $why") }
        $done += $wrote;
      }
      $_ += $take for $at, $got;
      $left -= $take;
      progress($got);
    }
  }
  my ($said) = message() =~ /"sha256_hash"\\s*:\\s*"([0-9a-f]{64})"/ or give_up(76, 'the client did not say what the file adds up to');
  my $sum = $digest->hexdigest;
  if ($said ne $sum) {
    end_with(1011, '{"type":"error","error":"HashMismatch"}');
    give_up(76, "the file has the SHA-256 $sum, not $said");
  }
  alarm 0;
  $file->sync or give_up(73, "$path: $!");
  close $file or give_up(73, "$path: $!");
  # A name that somebody took meanwhile is left to them.
  my $has_name = link $part, $path;
  # Not every file system has links.
  $has_name = rename $part, $path if !$has_name && ($!{EPERM} || $!{EOPNOTSUPP} || $!{ENOSYS}) && !-e $path;
  give_up(73, "$path: $!") unless $has_name;
  unlink $part;
  end_with(1000, '');
  finish($got, $sum);
}

sub send_file {
  sysopen my $file, $path, O_RDONLY or give_up(73, "$path: $!");
  my $facts = sub { my @stat = Time::HiRes::stat($_[0]); join ' ', @stat[1, 7, 9] };
  my ($size, $before) = (-s $file, $facts->($file));
  my ($sent, $digest) = (0, Digest::SHA->new(256));
  my $changed = sub {
    end_with(1011, '{"type":"error","error":"SourceChanged"}');
    give_up(75, 'the file changed while it was read');
  };
  my $chunks = POSIX::ceil($size / $chunk);
  frame(2, qq({"type":"init","num_chunks":$chunks,"file_size":$size}));
  while ($sent < $size) {
    my $body = '';
    my $wanted = $size - $sent < $chunk ? $size - $sent : $chunk;
    while (length $body < $wanted) {
      my $read = sysread $file, $body, $wanted - length $body, length $body;
      give_up(73, "$path: $!") unless defined $read;
      $changed->() unless $read;
    }
    alarm $silence;
    $digest->add($body);
    frame(2, $body);
    $sent += length $body;
    progress($sent);
  }
  my $sum = $digest->hexdigest;
  $changed->() unless $before eq $facts->($file) && $before eq $facts->($path);
  frame(1, qq({"type":"eof","sha256_hash":"$sum"}));
  my ($size_of, $status) = data_frame();
  give_up(80, 'the client did not say that it has the file') unless $size_of < 0 && $status == 1000;
  frame(8, pack('n', 1000));
  finish($sent, $sum);
}

sub refuse {
  my ($status, $why) = @_;
  put("HTTP/1.1 $status\\r\\nContent-Type: text/plain\\r\\nContent-Length: " . (length($why) + 1) . "\\r\\nConnection: close\\r\\n\\r\\n$why\\n");
  POSIX::_exit($not_let_in);
}
sub let_in {
  local $SIG{ALRM} = sub { POSIX::_exit($not_let_in) };
  alarm 20;
  until ($buffer =~ /\\r\\n\\r\\n/) {
    my $got = sysread $socket, $buffer, 4096, length $buffer;
    POSIX::_exit($not_let_in) if !$got || length $buffer > 16384;
  }
  my ($lines, $rest) = split /\\r\\n\\r\\n/, $buffer, 2;
  my %head = map { /^([^:\\s]+):\\s*(.*?)\\s*$/ ? (lc $1, $2) : () } split /\\r\\n/, $lines;
  refuse('401 Unauthorized', 'Missing Authorization header') unless defined $head{authorization};
  my ($shown) = $head{authorization} =~ /^Bearer\\s+(\\S+)$/;
  refuse('403 Forbidden', 'Invalid secret') unless defined $shown && Digest::SHA::sha256($shown) eq Digest::SHA::sha256($secret);
  my $is_socket = lc($head{upgrade} // '') eq 'websocket' && ($head{'sec-websocket-version'} // '') eq '13';
  my $key = $head{'sec-websocket-key'};
  refuse('426 Upgrade Required', 'This is a WebSocket, version 13') unless $is_socket && defined $key;
  mkdir 'client' or refuse('409 Conflict', 'Somebody is connected already');
  my $accept = MIME::Base64::encode_base64(Digest::SHA::sha1($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'), '');
  put("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: $accept\\r\\n\\r\\n");
  alarm 0;
  $buffer = $rest;
  $since = Time::HiRes::time();
  print "connected\\n";
}

my $server;
for my $port ($first .. $last) {
  $server = IO::Socket::INET->new(LocalAddr => $host, LocalPort => $port, Proto => 'tcp', Listen => 16, ReuseAddr => 1) or next;
  print "listening $port\\n";
  last;
}
give_up(82, "none of the ports $first to $last can be listened at on $host") unless $server;
# Of a run that was lost.
rmdir 'client';
my ($until, %kids) = (time + $wait);
while (1) {
  give_up(79, "no client came within $wait s") if time >= $until && !-e 'client';
  if (IO::Select->new($server)->can_read(0.5) and my $client = $server->accept) {
    my $pid = keys %kids < $kids_max ? fork : undef;
    if (defined $pid && $pid == 0) {
      close $server;
      $socket = $client;
      $SIG{ALRM} = sub { give_up(80, 'the client was silent') };
      let_in();
      $mode eq 'send' ? send_file() : receive();
    }
    $kids{$pid} = 1 if $pid;
    close $client;
  }
  while ((my $pid = waitpid -1, POSIX::WNOHANG) > 0) {
    delete $kids{$pid};
    POSIX::_exit($? & 127 ? 80 : $? >> 8) if $? >> 8 != $not_let_in;
  }
}
`;
