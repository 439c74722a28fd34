// SPDX-License-Identifier: Apache-2.0
// In which lines each word of standard input stands: retort run examples/index.cpp < examples/input/poem.txt
#include <algorithm>
#include <cctype>
#include <iomanip>
#include <iostream>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

namespace {

using Index = std::map<std::string, std::set<int>>;

std::vector<std::string> words_of(const std::string &line) {
        std::vector<std::string> words(1);
        for (unsigned char c : line) {
                if (std::isalpha(c))
                        words.back() += static_cast<char>(std::tolower(c));
                else if (!words.back().empty())
                        words.emplace_back();
        }
        if (words.back().empty())
                words.pop_back();
        return words;
}

std::string join(const std::set<int> &numbers) {
        return std::accumulate(numbers.begin(), numbers.end(), std::string(), [](std::string text, int number) {
                return text + (text.empty() ? "" : ", ") + std::to_string(number);
        });
}

} // namespace

int main() {
        Index index;
        int number = 0;
        for (std::string line; std::getline(std::cin, line);) {
                ++number;
                for (const auto &word : words_of(line))
                        index[word].insert(number);
        }
        for (const auto &[word, lines] : index)
                if (lines.size() > 1)
                        std::cout << std::left << std::setw(8) << word << join(lines) << '\n';
        auto longest = std::max_element(index.begin(), index.end(), [](const auto &a, const auto &b) {
                return a.first.size() < b.first.size();
        });
        if (longest == index.end())
                return std::cerr << "no words\n", 1;
        std::cout << index.size() << " words, the longest is '" << longest->first << "'\n";
}
