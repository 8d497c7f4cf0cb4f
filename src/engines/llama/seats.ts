/** A bounded number of seats and a bounded queue before them. A seat given back goes to the first in the queue, at once. */
export interface Seats {
  /**
   * Asks for a seat.
   * @param onSeat - called once, when there is one: now, later, or never if the place was given back before
   * @returns the place; or null, when every seat and the whole queue is taken
   */
  enter(onSeat: () => void): Place | null;
  /** Lets people sit down, or keeps the queue standing (nothing to sit on while the process restarts). */
  setOpen(isOpen: boolean): void;
  readonly seated: number;
  readonly waiting: number;
}

export interface Place {
  /** Gives up the seat, or the place in the queue. Again does nothing. */
  leave(): void;
}

interface Guest {
  readonly onSeat: () => void;
  state: 'waiting' | 'seated' | 'gone';
}

/** @param bounds - `seats` 1 or more, `queue` 0 or more; while closed, the queue also takes those who would have had a seat */
export function createSeats(bounds: { readonly seats: number; readonly queue: number }): Seats {
  const queue: Guest[] = [];
  let seated = 0;
  let isOpen = false;

  function seatNext(): void {
    while (isOpen && seated < bounds.seats) {
      const guest = queue.shift();
      if (guest === undefined) return;
      guest.state = 'seated';
      seated++;
      guest.onSeat();
    }
  }

  return {
    enter(onSeat) {
      if (seated + queue.length >= bounds.seats + bounds.queue) return null;
      const guest: Guest = { onSeat, state: 'waiting' };
      queue.push(guest);
      seatNext();
      return {
        leave() {
          if (guest.state === 'waiting') queue.splice(queue.indexOf(guest), 1);
          if (guest.state === 'seated') seated--;
          guest.state = 'gone';
          seatNext();
        },
      };
    },
    setOpen(open) {
      isOpen = open;
      seatNext();
    },
    get seated() {
      return seated;
    },
    get waiting() {
      return queue.length;
    },
  };
}
