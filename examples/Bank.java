// SPDX-License-Identifier: Apache-2.0
// Plays the lines of standard input as bookings: retort run examples/Bank.java < examples/input/bookings.txt
import java.math.BigDecimal;
import java.util.Comparator;
import java.util.Map;
import java.util.Scanner;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Accounts, and what happened to them. */
public class Bank {
    record Booking(String from, String to, BigDecimal amount) {
        static Booking parse(String line) {
            String[] words = line.trim().split("\\s+");
            if (words.length != 3) {
                throw new IllegalArgumentException("not a booking: " + line);
            }
            return new Booking(words[0], words[1], new BigDecimal(words[2]));
        }
    }

    private final Map<String, BigDecimal> balances = new TreeMap<>();

    void play(Booking booking) {
        balances.merge(booking.from(), booking.amount().negate(), BigDecimal::add);
        balances.merge(booking.to(), booking.amount(), BigDecimal::add);
    }

    public static void main(String[] args) {
        Bank bank = new Bank();
        int count = 0;
        try (Scanner in = new Scanner(System.in)) {
            while (in.hasNextLine()) {
                bank.play(Booking.parse(in.nextLine()));
                count++;
            }
        }
        System.out.println(count + " bookings");
        bank.balances.forEach((name, balance) -> System.out.printf("%-6s %9s%n", name, balance));
        System.out.println(bank.balances.entrySet().stream()
                .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
                .map(Map.Entry::getKey)
                .collect(Collectors.joining(" > ")));
    }
}
