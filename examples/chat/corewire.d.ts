// Types of corewire.js.

export interface Options {
  /** Where there is none (node before 22): that of the package ws, say. */
  WebSocket?: unknown;
  protocols?: string | string[];
  /** What this client is called, from the beginning. */
  name?: string;
  /** Milliseconds until the second attempt; doubled with each, half of it chance. Default 300. */
  backoffMin?: number;
  /** And not more than so long. Default 15000. */
  backoffMax?: number;
  /** Default 10000. */
  connectTimeout?: number;
  /** For an answer. Default 10000. */
  timeout?: number;
  /** Milliseconds of silence after which the server is asked whether it is there; 0: never. Default 25000. */
  pingEvery?: number;
  /** Requests that may wait for their answers. Default 1000. */
  pendingMax?: number;
  /** Milliseconds after which a connection counts as one, and back-off begins anew. Default 5000. */
  steadyAfter?: number;
  random?: () => number;
  /** Close codes after which it does not come back. Default: 1008, and 4000 to 4499. */
  staysAway?: (code: number) => boolean;
}

export type State = "connecting" | "open" | "waiting" | "closed";

export interface StateChange {
  state: State;
  /** Attempts that failed, or did not hold. */
  attempt: number;
  /** Why there is no connection. */
  code?: number;
  reason?: string;
  /** Milliseconds until the next attempt. */
  delay?: number;
}

export interface Joined {
  room: string;
  /** Which life of the room the numbers are of. */
  epoch: string;
  /** The number before those of the messages that follow, which may be of the past. */
  seq: number;
  /** Whether nothing of what was asked for is lost. */
  recovered: boolean;
  members: number;
}

export interface Message<T = unknown> {
  room: string;
  seq: number;
  from?: string;
  id?: string;
  /** Milliseconds since 1970. */
  at: number;
  data: T;
  /** Instead of data, where it was said in bytes. */
  base64?: string;
  /** It is one of this client's. */
  own: boolean;
}

export interface Presence {
  room: string;
  joined: string[];
  left: string[];
  members: number;
}

export interface Members {
  room: string;
  members: number;
  names: string[];
}

/** Messages of a room that did not come and will not; `null` is not known. */
export interface Gap {
  room: string;
  from: number | null;
  to: number | null;
}

export interface ServerError {
  of?: string;
  id?: string | number;
  /** Of a join that was refused. */
  room?: string;
  code: string;
  message: string;
}

export interface Room {
  name: string;
  joined: boolean;
  members: number;
  epoch: string | null;
  seq: number | null;
}

/** The events there are; any other type that a server says is one too. */
export interface Events {
  state: StateChange;
  joined: Joined;
  message: Message;
  presence: Presence;
  members: Members;
  left: { room: string };
  gap: Gap;
  /** An error that belongs to no request, or that a join was refused. */
  error: ServerError;
  /** What is no typed message, as it came. */
  plain: string;
}

export class CorewireError extends Error {
  /** The server's, or: timeout (it was not sent), unknown (it was, and its fate is not known), closed, full, not_joined. */
  readonly code: string;
  /** The type of what was asked. */
  readonly of?: string;
  /** The server said so. */
  readonly remote?: true;
}

export class Corewire {
  constructor(url: string | URL, options?: Options);
  readonly state: State;
  readonly name: string | undefined;
  readonly rooms: Map<string, Room>;
  on<E extends keyof Events>(event: E, handler: (data: Events[E]) => void): () => void;
  on(event: string, handler: (data: any) => void): () => void;
  off(event: string, handler: (data: any) => void): void;
  send(type: string, data?: unknown): boolean;
  request<T = any>(
    type: string,
    data: object,
    answer?: string | ((type: string, data: any) => boolean),
    options?: { timeout?: number },
  ): Promise<T>;
  join(room: string, options?: { history?: number }): Promise<Joined>;
  leave(room: string): Promise<void>;
  who(room: string): Promise<Members>;
  nick(name: string): Promise<{ name: string }>;
  publish<T = unknown>(room: string, data: T, options?: { timeout?: number; id?: string }): Promise<Message<T>>;
  /** Connects now, if it waits to. */
  retry(): void;
  close(code?: number, reason?: string): Promise<void>;
}
